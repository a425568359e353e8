"""What people fill in about incidents."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from teams.access import teams_to_respond_for
from teams.models import Service, Team, User

from .enums import Severity, Status
from .exceptions import SnoozeInThePast
from .models import Incident
from .queries import ALL, LARGEST_NUMBER, UNRESOLVED, IncidentFilter

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
        self.fields["team"].queryset = Team.objects.visible_to(user)
        self.fields["service"].queryset = Service.objects.visible_to(user)

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


class NoteForm(forms.Form):
    text = forms.CharField(
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "What did you see, what did you do?"}),
        label="Add a note",
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
