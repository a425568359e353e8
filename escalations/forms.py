"""What people fill in about escalations."""

from typing import Any

from django import forms

from incidents.models import Incident
from teams.enums import Role
from teams.models import User

from .models import EscalationPolicy


class ReassignForm(forms.Form):
    """Either somebody who responds for the incident's team, or one of the team's policies."""

    to = forms.ChoiceField(label="To", error_messages={"required": "Say to whom."})

    def __init__(self, data: Any, *, incident: Incident) -> None:
        super().__init__(data)
        team = incident.service.team
        people = User.objects.filter(
            is_active=True, memberships__team=team, memberships__role__in=[Role.MANAGER, Role.RESPONDER]
        )
        policies = EscalationPolicy.objects.filter(team=team)
        self._people = {f"user:{user.pk}": user for user in people}
        self._policies = {f"policy:{policy.pk}": policy for policy in policies}
        self.fields["to"].choices = [
            ("", "Choose"),
            ("People", list(self._people.items())),
            ("Escalation policies", list(self._policies.items())),
        ]

    @property
    def target(self) -> dict[str, User | EscalationPolicy | None]:
        """The `user` or the `policy` it goes to, the other being None; for a valid form."""
        to = self.cleaned_data["to"]
        return {"user": self._people.get(to), "policy": self._policies.get(to)}
