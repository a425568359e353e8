"""What people fill in about incidents."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from teams.access import can_respond
from teams.models import Service, Team, User

from .enums import Severity, Status
from .queries import IncidentFilter

STATES = [("unresolved", "Unresolved"), *Status.choices, ("all", "All")]
PERIODS = [("", "Any time"), ("1", "Last 24 hours"), ("7", "Last 7 days"), ("30", "Last 30 days")]


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
            state=given.get("state") or "unresolved",
            severities=[Severity(value) for value in given.get("severity", [])],
            team=given["team"].pk if given.get("team") else None,
            service=given["service"].pk if given.get("service") else None,
            mine=given.get("mine", False),
            days=int(given["days"]) if given.get("days") else None,
            text=given.get("q", "").strip(),
        )


class OpenForm(forms.Form):
    """An incident that no monitoring system saw."""

    service = forms.ModelChoiceField(Service.objects.none())
    title = forms.CharField(max_length=1024, label="What is wrong")
    severity = forms.ChoiceField(choices=Severity.choices, initial=Severity.HIGH)
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 4}), required=False)

    def __init__(self, data: Any = None, *, user: User, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        services = Service.objects.visible_to(user).select_related("team")
        teams = [team.pk for team in Team.objects.visible_to(user) if can_respond(user, team)]
        self.fields["service"].queryset = services.filter(team__in=teams)


class SeverityForm(forms.Form):
    severity = forms.ChoiceField(choices=Severity.choices)


class NoteForm(forms.Form):
    text = forms.CharField(max_length=20_000, widget=forms.Textarea(attrs={"rows": 3}), label="Note")


class SnoozeForm(forms.Form):
    """For so many minutes, until tomorrow at nine, or until an instant on the person's own clock."""

    minutes = forms.IntegerField(min_value=1, max_value=60 * 24 * 30, required=False)
    tomorrow = forms.BooleanField(required=False)
    until = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and not any(cleaned.get(name) for name in ("minutes", "tomorrow", "until")):
            raise forms.ValidationError("Say until when.")
        return cleaned

    @property
    def end(self) -> datetime:
        """The instant at which the snooze ends; for a valid form."""
        given = self.cleaned_data
        if given["until"]:
            return given["until"]
        if given["tomorrow"]:
            morning = timezone.localtime() + timedelta(days=1)
            return morning.replace(hour=9, minute=0, second=0, microsecond=0)
        return timezone.now() + timedelta(minutes=given["minutes"])
