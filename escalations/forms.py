"""What people fill in about escalations."""

from typing import Any

from django import forms

from escalations.models import EscalationPolicy
from incidents.models import Incident
from teams.enums import Role
from teams.models import User


class ReassignForm(forms.Form):
    """Either somebody of the team, or one of the team's policies."""

    user = forms.ModelChoiceField(User.objects.none(), required=False, label="To a person", empty_label="Nobody")
    policy = forms.ModelChoiceField(
        EscalationPolicy.objects.none(), required=False, label="Or to a policy", empty_label="None"
    )

    def __init__(self, data: Any = None, *, incident: Incident) -> None:
        super().__init__(data)
        team = incident.service.team
        self.fields["user"].queryset = User.objects.filter(
            is_active=True, memberships__team=team, memberships__role__in=[Role.MANAGER, Role.RESPONDER]
        ).distinct()
        self.fields["policy"].queryset = EscalationPolicy.objects.filter(team=team)
