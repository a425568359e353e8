"""What a report is asked for, as it stands in the address."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from incidents.enums import SEVERITIES, Severity
from teams.models import Service, Team, User

from .scope import Scope

USUAL_DAYS = 30
LONGEST_DAYS = 3660
PERIODS = [
    ("1", "Last 24 hours"),
    ("7", "Last 7 days"),
    ("30", "Last 30 days"),
    ("90", "Last 90 days"),
    ("365", "Last 365 days"),
    ("days", "From … to …"),
]


class ReportForm(forms.Form):
    """Bound to what the address says. What is wrong is told, and the usual period stands in for it."""

    period = forms.ChoiceField(choices=PERIODS, required=False)
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(
        required=False, label="Until the end of", widget=forms.DateInput(attrs={"type": "date"})
    )
    team = forms.ModelChoiceField(Team.objects.none(), required=False, empty_label="All teams")
    service = forms.ModelChoiceField(Service.objects.none(), required=False, empty_label="All services")
    severity = forms.MultipleChoiceField(choices=Severity.choices, required=False)

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data)
        self._user = user
        self.fields["team"].queryset = Team.objects.visible_to(user)
        self.fields["service"].queryset = Service.objects.visible_to(user)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        since, until = given.get("since"), given.get("until")
        if given.get("period") == "days" and not self.errors:
            if not since or not until:
                raise forms.ValidationError("Say from which day, and until which.")
            if until < since:
                raise forms.ValidationError("The first day must not be after the last.")
            if (until - since).days >= LONGEST_DAYS:
                raise forms.ValidationError("A report covers ten years at most.")
        return given

    @property
    def period_shown(self) -> str:
        return self.cleaned_data.get("period") or str(USUAL_DAYS)

    def scope(self) -> Scope:
        """In the active time zone, of the services that the person may see."""
        self.full_clean()
        given = self.cleaned_data
        services = Service.objects.visible_to(self._user).select_related("team")
        if given.get("team"):
            services = services.filter(team=given["team"])
        if given.get("service"):
            services = services.filter(pk=given["service"].pk)
        zone = ZoneInfo(timezone.get_current_timezone_name())
        start, end = self._span(zone)
        return Scope(
            start=start,
            end=end,
            zone=zone,
            services={service.pk: service for service in services},
            severities=[Severity(value) for value in given.get("severity") or SEVERITIES],
        )

    def _span(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        given = self.cleaned_data
        if given.get("period") == "days" and not self.errors:
            last = given["until"] + timedelta(days=1)
            return datetime.combine(given["since"], time(), zone), datetime.combine(last, time(), zone)
        period = given.get("period")
        days = int(period) if period and period != "days" else USUAL_DAYS
        now = timezone.now().astimezone(zone).replace(second=0, microsecond=0)
        return now - timedelta(days=days), now
