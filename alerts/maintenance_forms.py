"""What people fill in about maintenance. The times are on the clock of the person who does."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.html import format_html

from teams.access import teams_to_respond_for
from teams.forms import local_input
from teams.models import Service, Team, User

from . import maintenance_labels
from .enums import MaintenanceMode, Repeats
from .exceptions import InvalidRule

USUAL_LENGTH = timedelta(hours=1)
STEP = timedelta(minutes=5)


class WindowForm(forms.Form):
    """One window, or what a series has in common."""

    title = forms.CharField(max_length=200, label="What is done", help_text="Like “Upgrade of the database”.")
    services = forms.ModelMultipleChoiceField(
        Service.objects.none(),
        required=False,
        label="Services",
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: all of the team’s.",
    )
    conditions = forms.CharField(
        required=False,
        label="Only alerts with these labels",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "placeholder": "cluster = eu-1"}),
        help_text="One a line, like “cluster = eu-1”, or “host ~ ^db-” for a pattern. All must hold, for all alerts "
        "of an incident that fire.",
    )
    mode = forms.ChoiceField(
        choices=MaintenanceMode.choices,
        label="Meanwhile",
        widget=forms.RadioSelect,
        initial=MaintenanceMode.SUPPRESS,
        help_text="Low urgency: by people’s rules for it, within their quiet hours and the team’s working hours.",
    )
    starts_at = forms.DateTimeField(widget=local_input(), label="From")
    ends_at = forms.DateTimeField(widget=local_input(), label="Until")

    def __init__(self, data: Any = None, *, asker: User, team: Team | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["services"].queryset = Service.objects.filter(team=team).order_by("name")
        self.fields["starts_at"].help_text = format_html("Your time, {}.", asker.time_zone)

    def clean_conditions(self) -> list[dict[str, str]]:
        try:
            return maintenance_labels.parse(self.cleaned_data["conditions"])
        except InvalidRule as fault:
            raise forms.ValidationError(fault.detail) from None


class RepeatingForm(WindowForm):
    """With how often it comes again."""

    repeats = forms.ChoiceField(choices=Repeats.choices, label="Repeats")
    until = forms.DateField(
        required=False,
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class NewMaintenanceForm(RepeatingForm):
    """Of any team that the person responds for; one that does not repeat is a window alone."""

    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None, label="Team")
    field_order = [
        "title",
        "team",
        "services",
        "conditions",
        "mode",
        "starts_at",
        "ends_at",
        "repeats",
        "until",
    ]

    def __init__(self, data: Any = None, *, asker: User, initial: dict[str, Any] | None = None) -> None:
        begins = _rounded(timezone.now())
        usual = {"starts_at": begins, "ends_at": begins + USUAL_LENGTH}
        super().__init__(data, asker=asker, initial={**usual, **(initial or {})})
        teams = teams_to_respond_for(asker).order_by("name")
        self.fields["team"].queryset = teams
        services = (
            Service.objects.filter(team__in=teams).select_related("team").order_by("team__name", "name")
        )
        self.fields["services"].queryset = services
        if len(teams) == 1:
            self.fields["team"].widget = forms.HiddenInput()
            self.initial.setdefault("team", teams[0].pk)
        else:
            self.fields["services"].label_from_instance = lambda service: f"{service.team} · {service}"
        self.fields["repeats"].choices = [("", "Does not repeat"), *Repeats.choices]
        self.fields["repeats"].required = False


def _rounded(instant: datetime) -> datetime:
    """Up to the next five minutes."""
    return instant + (datetime.min.replace(tzinfo=UTC) - instant) % STEP
