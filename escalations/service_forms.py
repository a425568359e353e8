"""A service as people fill it in."""

from typing import Any

from django import forms

from teams.access import teams_to_manage
from teams.models import Service, Team, User

from .models import EscalationPolicy
from .services import own_rule


class ServiceForm(forms.Form):
    """Its team is not changed here: incidents, rules and schedules stay with it."""

    name = forms.CharField(max_length=120)
    description = forms.CharField(
        required=False,
        max_length=5_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it does, and for whom.",
    )
    runbook_url = forms.URLField(
        required=False,
        max_length=500,
        label="Runbook",
        assume_scheme="https",
        help_text="Where it is written what to do. Whoever is paged is led there.",
    )
    policy = forms.ModelChoiceField(
        EscalationPolicy.objects.none(),
        required=False,
        label="Escalation policy",
        empty_label="By the team’s routing rules",
        help_text="Who is paged, whatever the severity and hour. The team’s rules for parts of it go first.",
    )
    upstreams = forms.ModelMultipleChoiceField(
        Service.objects.none(),
        required=False,
        label="Depends on",
        widget=forms.CheckboxSelectMultiple,
        help_text="When one of them has an incident, this service’s are likely to come from it.",
    )
    resolves_with_alerts = forms.BooleanField(
        required=False,
        initial=True,
        label="Resolve incidents with their alerts",
        help_text="When the last open alert of an incident is resolved. Otherwise a person does it.",
    )

    def __init__(self, data: Any = None, *, asker: User, service: Service) -> None:
        super().__init__(data, initial=self._present(asker, service))
        upstreams = Service.objects.visible_to(asker).exclude(pk=service.pk).select_related("team")
        self.fields["upstreams"].queryset = upstreams.order_by("team__name", "name")
        self.fields["upstreams"].label_from_instance = lambda other: f"{other.team} · {other}"
        self.fields["policy"].queryset = EscalationPolicy.objects.filter(team=service.team_id).order_by(
            "name"
        )

    def _present(self, asker: User, service: Service) -> dict[str, Any]:
        """What the form begins with."""
        if service._state.adding:
            return {}
        rule = own_rule(service)
        return {
            "name": service.name,
            "description": service.description,
            "runbook_url": service.runbook_url,
            "resolves_with_alerts": service.resolves_with_alerts,
            "policy": rule and rule.policy_id,
            "upstreams": Service.objects.visible_to(asker).filter(dependents__service=service),
        }


class NewServiceForm(ServiceForm):
    """Of a team that the person manages."""

    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None)
    field_order = ["name", "team"]

    def __init__(self, data: Any = None, *, asker: User, service: Service) -> None:
        super().__init__(data, asker=asker, service=service)
        teams = teams_to_manage(asker).order_by("name")
        self.fields["team"].queryset = teams
        policies = EscalationPolicy.objects.filter(team__in=teams).select_related("team")
        self.fields["policy"].queryset = policies.order_by("team__name", "name")
        if len(teams) == 1:
            self.fields["team"].widget = forms.HiddenInput()
            self.initial["team"] = teams[0].pk
        else:
            self.fields["policy"].label_from_instance = lambda policy: f"{policy.team} · {policy}"
