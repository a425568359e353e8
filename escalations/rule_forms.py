"""What people fill in about routing rules, a team's paging, and previews."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from incidents.enums import Severity
from openalert.zones import time_zones
from teams.forms import ZoneSelect
from teams.models import Team

from .hours import WEEKDAYS
from .models import EscalationPolicy, PagingSettings, RoutingRule

DAYS = [(day, day.capitalize()) for day in WEEKDAYS]


def time_input() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


def zone_choices(team: Team) -> list[tuple[str, str]]:
    return [("", f"The team’s, {team.time_zone}"), *time_zones().items()]


def read_labels(text: str) -> dict[str, str]:
    """Lines like env=prod; a name alone is any value. Raises ValidationError."""
    labels: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if line.strip():
            if not name.strip():
                raise ValidationError(f"“{line.strip()}” has no name: write name=value.")
            labels[name.strip()] = value.strip()
    return labels


class RuleForm(forms.Form):
    """What an incident has to have for the policy to be in charge. What is left empty is anything."""

    policy = forms.ModelChoiceField(
        EscalationPolicy.objects.none(), label="Policy in charge", empty_label=None
    )
    service = forms.ModelChoiceField(None, required=False, empty_label="Any service")
    severities = forms.MultipleChoiceField(
        choices=Severity.choices, required=False, widget=forms.CheckboxSelectMultiple
    )
    labels = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Of the incident’s alerts, one a line, like env=prod. A name alone: any value.",
    )
    weekdays = forms.MultipleChoiceField(
        choices=DAYS, required=False, widget=forms.CheckboxSelectMultiple, help_text="None: every day."
    )
    from_ = forms.TimeField(required=False, label="From", widget=time_input())
    until = forms.TimeField(
        required=False,
        widget=time_input(),
        help_text="Earlier than from: a night, which belongs to the day on which it begins.",
    )
    time_zone = forms.ChoiceField(required=False, label="On whose clocks", widget=ZoneSelect)

    def __init__(self, data: Any = None, *, team: Team, rule: RoutingRule | None = None) -> None:
        hours = (rule.hours if rule else None) or {}
        initial = {
            "policy": rule.policy_id if rule else None,
            "service": rule.service_id if rule else None,
            "severities": rule.severities if rule else [],
            "labels": "\n".join(f"{n}={v}" if v else n for n, v in rule.labels.items()) if rule else "",
            "weekdays": hours.get("weekdays", []),
            "from_": hours.get("from"),
            "until": hours.get("until"),
            "time_zone": rule.time_zone if rule else "",
        }
        super().__init__(data, initial=initial)
        self._team, self._rule = team, rule
        policies = EscalationPolicy.objects.filter(team=team)
        if rule:
            policies |= EscalationPolicy.objects.filter(pk=rule.policy_id)
        self.fields["policy"].queryset = policies
        self.fields["service"].queryset = team.services.all()
        self.fields["time_zone"].choices = zone_choices(team)

    def clean_labels(self) -> dict[str, str]:
        return read_labels(self.cleaned_data["labels"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        begins, ends = cleaned.get("from_"), cleaned.get("until")
        if (begins is None) != (ends is None) and not {"from_", "until"} & self.errors.keys():
            self.add_error("from_" if begins is None else "until", "Give both times, or none.")
        if cleaned.get("weekdays") and begins is None and ends is None:
            # Whole days.
            cleaned["from_"] = cleaned["until"] = forms.TimeField().clean("00:00")
        if not self.errors:
            self._check(cleaned)
        return cleaned

    def _check(self, cleaned: dict[str, Any]) -> None:
        self.rule = self._rule or RoutingRule(team=self._team)
        for name in ("policy", "service", "severities", "labels", "time_zone"):
            setattr(self.rule, name, cleaned[name])
        self.rule.hours = None
        if cleaned["from_"] is not None:
            self.rule.hours = {
                "from": f"{cleaned['from_']:%H:%M}",
                "until": f"{cleaned['until']:%H:%M}",
                "weekdays": cleaned["weekdays"],
            }
        try:
            self.rule.full_clean(exclude=["team", "position"], validate_constraints=False)
        except ValidationError as fault:
            for name, words in fault.message_dict.items():
                self.add_error(name if name in self.fields else None, words)


class SettingsForm(forms.Form):
    """What a team has decided about paging; a pair of times for each day of the week."""

    default_policy = forms.ModelChoiceField(
        EscalationPolicy.objects.none(),
        required=False,
        empty_label="None: nobody is paged",
        help_text="Is in charge of every incident that no routing rule takes.",
    )
    low_urgency_waits = forms.BooleanField(
        required=False, label="Page nobody for medium and low incidents outside the working hours"
    )
    time_zone = forms.ChoiceField(required=False, label="On whose clocks", widget=ZoneSelect)

    def __init__(self, data: Any = None, *, settings: PagingSettings) -> None:
        initial = {
            "default_policy": settings.default_policy_id,
            "low_urgency_waits": settings.low_urgency_waits,
            "time_zone": settings.time_zone,
        }
        super().__init__(data, initial=initial)
        self._settings = settings
        self.fields["default_policy"].queryset = EscalationPolicy.objects.filter(team=settings.team)
        self.fields["time_zone"].choices = zone_choices(settings.team)
        for day, label in DAYS:
            hours = settings.working_hours.get(day, {})
            for name, word in (("from", "from"), ("until", "until")):
                self.fields[f"{day}_{name}"] = forms.TimeField(
                    required=False,
                    label=f"{label}, {word}",
                    widget=time_input(),
                    initial=hours.get(name),
                )

    @property
    def days(self) -> list[tuple[str, forms.BoundField, forms.BoundField]]:
        return [(label, self[f"{day}_from"], self[f"{day}_until"]) for day, label in DAYS]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        week: dict[str, dict[str, str]] = {}
        for day, _ in DAYS:
            begins, ends = cleaned.get(f"{day}_from"), cleaned.get(f"{day}_until")
            if (begins is None) != (ends is None):
                missing = f"{day}_from" if begins is None else f"{day}_until"
                if missing not in self.errors:
                    self.add_error(missing, "Give both times, or none.")
            elif begins is not None:
                week[day] = {"from": f"{begins:%H:%M}", "until": f"{ends:%H:%M}"}
        if not self.errors:
            self._check(cleaned, week)
        return cleaned

    def _check(self, cleaned: dict[str, Any], week: dict[str, dict[str, str]]) -> None:
        self.settings = self._settings
        for name in ("default_policy", "low_urgency_waits", "time_zone"):
            setattr(self.settings, name, cleaned[name])
        self.settings.working_hours = week
        try:
            self.settings.full_clean(exclude=["team"], validate_constraints=False)
        except ValidationError as fault:
            for name, words in fault.message_dict.items():
                self.add_error("mon_from" if name == "working_hours" else name, words)


class PreviewForm(forms.Form):
    """An alert that is only imagined. Times are on the clock of the person who asks."""

    severity = forms.ChoiceField(choices=Severity.choices, initial=Severity.CRITICAL)
    at = forms.DateTimeField(
        required=False,
        label="When it fires",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Your time. Empty: now.",
    )
    labels = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="Of the alert, one a line, like env=prod.",
    )

    def clean_at(self) -> Any:
        at = self.cleaned_data["at"]
        if at and not 2000 <= at.year < 2100:
            raise ValidationError("Choose a time between the years 2000 and 2100.")
        return at

    def clean_labels(self) -> dict[str, str]:
        return read_labels(self.cleaned_data["labels"])
