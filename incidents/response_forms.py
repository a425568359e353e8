"""What people fill in about who does what in an incident."""

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from teams.models import Team, User

from .enums import LinkKind, UpdateState
from .membership import people_of
from .models import Incident, ResponseSettings
from .response_settings import read_roles
from .search import LARGEST_NUMBER
from .task_list import LONGEST

WHEN = "%Y-%m-%dT%H:%M"


class RoleForm(forms.Form):
    """Who has a role; nobody frees it."""

    role = forms.CharField(max_length=60, widget=forms.HiddenInput)
    user = forms.ModelChoiceField(User.objects.none(), required=False, empty_label="Nobody", label="Who")

    def __init__(self, data: QueryDict | None, *, team: Team, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.fields["user"].queryset = people_of(team)


class QuickTaskForm(forms.Form):
    text = forms.CharField(
        max_length=LONGEST,
        label="Add a task",
        widget=forms.TextInput(
            attrs={
                "class": "input",
                "placeholder": "Check the replicas @ana due 30m",
                "autocomplete": "off",
                "data-shortcut": "t",
                "data-shortcut-label": "Add a task",
            }
        ),
    )


class TaskForm(forms.Form):
    text = forms.CharField(max_length=LONGEST, label="What is to be done")
    assignee = forms.ModelChoiceField(
        User.objects.none(), required=False, empty_label="Nobody yet", label="Who"
    )
    due_at = forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=WHEN)
    )

    def __init__(self, data: QueryDict | None, *, team: Team, initial: dict[str, Any]) -> None:
        super().__init__(data, initial=initial)
        self.fields["assignee"].queryset = people_of(team)
        self.fields["due_at"].label = f"Due ({timezone.get_current_timezone_name()} time)"


class UpdateForm(forms.Form):
    state = forms.ChoiceField(choices=UpdateState.choices)
    text = forms.CharField(
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 5}),
        label="What they are told",
        help_text="Markdown, for people who do not know your systems: what is broken for them, what you do, when they hear more.",
    )


class AddressForm(forms.Form):
    """Who is subscribed: somebody by email, to the incident or to all that comes about its service."""

    address = forms.EmailField(
        label="Email address", help_text="They are asked first, and get nothing unless they agree."
    )
    service = forms.BooleanField(required=False, label="Also every later incident of the service")


class LinkForm(forms.Form):
    kind = forms.ChoiceField(
        choices=[
            (kind.value, f"It {word} …")
            for kind, word in (
                (LinkKind.RELATES_TO, "relates to"),
                (LinkKind.CAUSED_BY, "was caused by"),
                (LinkKind.DUPLICATE_OF, "is a duplicate of"),
            )
        ],
        label="How",
    )
    other = forms.CharField(
        max_length=20,
        label="Number of the other incident",
        widget=forms.TextInput(attrs={"placeholder": "#42", "inputmode": "numeric"}),
    )

    def __init__(self, data: QueryDict | None, *, user: User) -> None:
        super().__init__(data)
        self._user = user

    def clean_other(self) -> Incident:
        typed = self.cleaned_data["other"].strip().removeprefix("#")
        if not typed.isdecimal():
            raise forms.ValidationError("Type the number of an incident, like #42.")
        number = min(int(typed), LARGEST_NUMBER)
        found = Incident.objects.visible_to(self._user).filter(number=number).first()
        if found is None:
            raise forms.ValidationError(f"There is no incident {typed}.")
        return found


class ResponseSettingsForm(forms.ModelForm):
    """Shown with what holds at present; left as that is, nothing is written down."""

    class Meta:
        model = ResponseSettings
        fields = ["roles", "postmortem_template"]
        widgets = {
            "roles": forms.Textarea(attrs={"rows": 6}),
            "postmortem_template": forms.Textarea(attrs={"rows": 18, "class": "mono"}),
        }
        help_texts = {
            "roles": "A line for each: “Name: what it does”. Empty: as the installation has it.",
            "postmortem_template": "Markdown. {title}, {number}, {service}, {severity}, {opened}, {resolved}, {duration} and {summary} are filled in; below the heading “Timeline” entries are imported. Empty: as the installation has it.",
        }

    def clean_roles(self) -> str:
        roles = self.cleaned_data["roles"]
        try:
            read_roles(roles)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return roles
