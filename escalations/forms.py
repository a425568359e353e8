"""What people fill in about escalations."""

from typing import Any

from django import forms

from incidents.models import Incident
from teams.enums import Role
from teams.models import User

from .exceptions import ReassignToOne
from .models import EscalationPolicy


class ReassignForm(forms.Form):
    """Either somebody who responds for the incident's team, or one of the team's policies."""

    user = forms.ModelChoiceField(
        User.objects.none(), required=False, label="To a person", empty_label="Nobody"
    )
    policy = forms.ModelChoiceField(
        EscalationPolicy.objects.none(),
        required=False,
        label="Or to an escalation policy",
        empty_label="None",
    )

    def __init__(self, data: Any, *, incident: Incident) -> None:
        super().__init__(data)
        team = incident.service.team
        self.fields["user"].queryset = User.objects.filter(
            is_active=True, memberships__team=team, memberships__role__in=[Role.MANAGER, Role.RESPONDER]
        )
        self.fields["policy"].queryset = EscalationPolicy.objects.filter(team=team)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and bool(cleaned["user"]) == bool(cleaned["policy"]):
            raise forms.ValidationError(ReassignToOne.detail, ReassignToOne.code)
        return cleaned
