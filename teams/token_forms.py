"""The form for a new API token."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from . import scopes
from .access import teams_to_manage
from .models import ApiToken, Team, User

LIFETIMES = {"30": "30 days", "90": "90 days", "365": "A year", "": "Until it is revoked"}


class ApiTokenForm(forms.Form):
    """A new API token of `user`, or of a team that they manage."""

    name = forms.CharField(max_length=ApiToken._meta.get_field("name").max_length, help_text="What uses it.")
    team = forms.ModelChoiceField(
        Team.objects.none(),
        required=False,
        empty_label="Me",
        label="Acts for",
        help_text="A team’s token stays when you leave, and opens nothing but that team.",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in scopes.ALL],
        widget=forms.SelectMultiple(attrs={"size": 9}),
        help_text="read, write (answer incidents, daily work) and admin (change what is set up) hold each other; "
        "the others are for one area. It never may more than whom it acts for.",
    )
    lifetime = forms.ChoiceField(choices=list(LIFETIMES.items()), required=False, initial="90")

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        team = self.fields["team"]
        assert isinstance(team, forms.ModelChoiceField)
        team.queryset = teams_to_manage(user).order_by("name")

    @property
    def wanted(self) -> dict[str, Any]:
        """For api_tokens.create_token."""
        days = self.cleaned_data["lifetime"]
        return {
            "name": self.cleaned_data["name"],
            "team": self.cleaned_data["team"],
            "scopes": self.cleaned_data["scopes"],
            "expires_at": timezone.now() + timedelta(days=int(days)) if days else None,
        }
