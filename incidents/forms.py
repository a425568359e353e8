"""What people fill in about incidents."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode

from teams.access import teams_to_respond_for
from teams.models import Service, Team, User

from .enums import Severity, Status
from .exceptions import SnoozeInThePast
from .models import Incident
from .queries import ALL, UNRESOLVED, IncidentFilter
from .search import LARGEST_NUMBER
from .triage import MOST_AT_ONCE

STATES = [(UNRESOLVED, "Unresolved"), *Status.choices, (ALL, "All")]
PERIODS = [("", "Any time"), ("1", "Last 24 hours"), ("7", "Last 7 days"), ("30", "Last 30 days")]
LONGEST_SNOOZE = timedelta(days=365)


class FilterForm(forms.Form):
    """The list's filter, as it stands in the URL. What is wrong in it is left out."""

    state = forms.ChoiceField(choices=STATES, required=False)
    q = forms.CharField(max_length=200, required=False)
    severity = forms.MultipleChoiceField(choices=Severity.choices, required=False)
    team = forms.ModelChoiceField(Team.objects.none(), required=False, empty_label="All teams")
    service = forms.ModelChoiceField(Service.objects.none(), required=False, empty_label="All services")
    days = forms.ChoiceField(choices=PERIODS, required=False)
    mine = forms.BooleanField(required=False)

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data)
        self.fields["team"].queryset = Team.objects.visible_to(user).only("name")
        self.fields["service"].queryset = Service.objects.visible_to(user).only("name")

    def filter(self) -> IncidentFilter:
        self.full_clean()
        given = self.cleaned_data
        return IncidentFilter(
            state=given.get("state") or UNRESOLVED,
            severities=[Severity(value) for value in given.get("severity", [])],
            team=given["team"].pk if given.get("team") else None,
            service=given["service"].pk if given.get("service") else None,
            mine=given.get("mine", False),
            days=int(given["days"]) if given.get("days") else None,
            text=given.get("q", "").strip(),
        )

    def kept(self) -> list[tuple[str, str]]:
        """What of the address is a filter, by field and value; for a form that was cleaned."""
        given = self.cleaned_data
        pairs: list[tuple[str, str]] = []
        if (state := given.get("state")) and state != UNRESOLVED:
            pairs.append(("state", state))
        if text := given.get("q", "").strip():
            pairs.append(("q", text))
        pairs += [("severity", value) for value in sorted(given.get("severity", []))]
        pairs += [(name, str(given[name].pk)) for name in ("team", "service") if given.get(name)]
        if given.get("days"):
            pairs.append(("days", given["days"]))
        if given.get("mine"):
            pairs.append(("mine", "1"))
        return pairs


def query_of(form: FilterForm) -> str:
    """The filter as the query string that saved filters are compared by; for a form that was cleaned."""
    return urlencode(form.kept())


class NumbersField(forms.TypedMultipleChoiceField):
    """Numbers of incidents, whatever there is of them."""

    def __init__(self) -> None:
        super().__init__(coerce=int, error_messages={"required": "Choose some incidents first."})

    def valid_value(self, value: str) -> bool:
        return value.isdecimal() and int(value) <= LARGEST_NUMBER


SNOOZES = [(15, "15 minutes"), (60, "1 hour"), (240, "4 hours")]
BULK_ACTIONS = ["acknowledge", "resolve", "snooze-tomorrow", *(f"snooze-{minutes}" for minutes, _ in SNOOZES)]


class BulkForm(forms.Form):
    """Which incidents, and what becomes of them: an action, or `snooze-` and for how long."""

    action = forms.ChoiceField(
        choices=[(name, name) for name in BULK_ACTIONS],
        error_messages={"required": "Say what to do with them."},
    )
    number = NumbersField()

    def __init__(self, data: QueryDict, *, is_merge: bool = False) -> None:
        super().__init__(data)
        if is_merge:
            del self.fields["action"]

    @property
    def snoozed_until(self) -> datetime | None:
        """For a valid form: when the snooze ends, if it is one."""
        action, _, length = self.cleaned_data["action"].partition("-")
        if action != "snooze":
            return None
        now = timezone.now()
        return tomorrow_morning(now) if length == "tomorrow" else now + timedelta(minutes=int(length))

    def clean_number(self) -> list[int]:
        numbers: list[int] = self.cleaned_data["number"]
        if len(numbers) > MOST_AT_ONCE:
            raise forms.ValidationError(f"Choose {MOST_AT_ONCE} incidents at most.")
        return numbers


class BulkMergeForm(forms.Form):
    """In which of the chosen incidents the others go on."""

    into = forms.TypedChoiceField(
        coerce=int, error_messages={"required": "Choose the incident in which they go on."}
    )

    def __init__(self, data: QueryDict | None, *, incidents: list[Incident]) -> None:
        super().__init__(data)
        self._incidents = {incident.number: incident for incident in incidents}
        self.fields["into"].choices = [(number, str(number)) for number in self._incidents]

    @property
    def target(self) -> Incident:
        """For a valid form."""
        return self._incidents[self.cleaned_data["into"]]


class SavedFilterForm(forms.Form):
    name = forms.CharField(max_length=60, label="Name")
    share_with = forms.ModelChoiceField(
        Team.objects.none(), required=False, empty_label="Only me", label="Who sees it"
    )

    def __init__(self, data: QueryDict | None, *, user: User) -> None:
        super().__init__(data)
        self.fields["share_with"].queryset = teams_to_respond_for(user)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        given["team"] = given.get("share_with")
        return given


class OpenForm(forms.Form):
    """An incident that no monitoring system saw."""

    service = forms.ModelChoiceField(Service.objects.none(), empty_label="Choose a service")
    title = forms.CharField(max_length=1024, label="What is wrong")
    severity = forms.ChoiceField(choices=Severity.choices, initial=Severity.HIGH)
    note = forms.CharField(max_length=20_000, widget=forms.Textarea(attrs={"rows": 4}), required=False)

    def __init__(self, data: Any, *, user: User, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        self.fields["service"].queryset = Service.objects.filter(team__in=teams_to_respond_for(user))


class MergeForm(forms.Form):
    """Where an incident goes on: one of those that are offered, or the number of one, typed where they are searched."""

    q = forms.CharField(max_length=200, required=False, label="Find an incident")
    into = forms.IntegerField(min_value=1, max_value=LARGEST_NUMBER, required=False)

    def __init__(self, data: QueryDict | None, *, user: User) -> None:
        super().__init__(data)
        self._user = user
        self.target: Incident

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        typed = cleaned.get("q", "").strip().removeprefix("#")
        number = cleaned.get("into") or (int(typed) if typed.isdecimal() else None)
        if number is None:
            raise forms.ValidationError("Choose the incident that it is part of.")
        # Of those that the person sees; merging itself says why one will not do.
        target = Incident.objects.visible_to(self._user).filter(number=min(number, LARGEST_NUMBER)).first()
        if target is None:
            raise forms.ValidationError(f"There is no incident {number}.")
        self.target = target
        return cleaned


class SeverityForm(forms.Form):
    severity = forms.ChoiceField(choices=Severity.choices)


class SummaryForm(forms.Form):
    text = forms.CharField(
        max_length=5_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 8}),
        label="What is known by now",
        help_text="Markdown. Who comes later reads this first. Empty, there is no summary.",
    )


class NoteForm(forms.Form):
    text = forms.CharField(
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "What did you see, what did you do?"}),
        label="Add a note",
        help_text="Markdown. @name tells somebody of the team.",
    )


def tomorrow_morning(now: datetime) -> datetime:
    """Nine o'clock on the next day, in the active time zone."""
    tomorrow = timezone.localtime(now) + timedelta(days=1)
    return tomorrow.replace(hour=9, minute=0, second=0, microsecond=0)


class SnoozeForm(forms.Form):
    """Until an instant on the person's own clock; the page's presets send minutes or `tomorrow` instead."""

    minutes = forms.IntegerField(
        min_value=1,
        max_value=LONGEST_SNOOZE // timedelta(minutes=1),
        required=False,
        widget=forms.HiddenInput,
    )
    tomorrow = forms.BooleanField(required=False, widget=forms.HiddenInput)
    until = forms.DateTimeField(
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        initial=lambda: tomorrow_morning(timezone.now()),
        error_messages={"required": "Say until when."},
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data)
        until = self.fields["until"]
        until.label = f"Until ({timezone.get_current_timezone_name()} time)"
        until.required = not (data and (data.get("minutes") or data.get("tomorrow")))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "until" in self.errors:
            return cleaned
        now = timezone.now()
        if cleaned.get("tomorrow"):
            cleaned["end"] = tomorrow_morning(now)
        elif cleaned.get("minutes"):
            cleaned["end"] = now + timedelta(minutes=cleaned["minutes"])
        elif cleaned["until"] is None:  # the minutes were wrong
            self.add_error("until", "Say until when.")
        elif cleaned["until"] <= now:
            self.add_error("until", SnoozeInThePast.detail)
        elif cleaned["until"] > now + LONGEST_SNOOZE:
            self.add_error("until", "Snooze for a year at most.")
        else:
            cleaned["end"] = cleaned["until"]
        return cleaned

    @property
    def end(self) -> datetime:
        """The instant at which the snooze ends; for a valid form."""
        return self.cleaned_data["end"]
