"""What people fill in about postmortems and action items."""

from typing import Any

from django import forms
from django.http import QueryDict

from teams.models import Team, User

from .action_items import LONGEST
from .enums import ActionItemState, PostmortemState
from .membership import people_of
from .models.postmortem import LONGEST_BODY

LARGEST_VERSION = 2_147_483_647


class PostmortemForm(forms.Form):
    """The text, and the version that it was made from."""

    body = forms.CharField(
        max_length=LONGEST_BODY,
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 28, "class": "input"}),
        label="Text",
    )
    version = forms.IntegerField(min_value=0, max_value=LARGEST_VERSION, widget=forms.HiddenInput)


class ImportForm(PostmortemForm):
    entry = forms.TypedMultipleChoiceField(
        coerce=int, required=False, error_messages={"required": "Choose some entries."}
    )

    def __init__(self, data: QueryDict, *, entry_ids: list[int]) -> None:
        super().__init__(data)
        self.fields["entry"].choices = [(pk, str(pk)) for pk in entry_ids]


class StateForm(forms.Form):
    state = forms.ChoiceField(choices=PostmortemState.choices)


class ActionItemForm(forms.Form):
    text = forms.CharField(max_length=LONGEST, label="What is to be done")
    assignee = forms.ModelChoiceField(
        User.objects.none(), required=False, empty_label="Nobody yet", label="Who"
    )
    due_on = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), label="Due"
    )

    def __init__(self, data: QueryDict | None, *, team: Team, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        self.fields["assignee"].queryset = people_of(team)


class ActionItemChangeForm(ActionItemForm):
    state = forms.ChoiceField(choices=ActionItemState.choices)


class ItemsFilterForm(forms.Form):
    """The list's filter, as it stands in the URL. What is wrong in it is left out."""

    state = forms.ChoiceField(
        choices=[("", "To be done"), ("late", "Overdue"), *ActionItemState.choices, ("all", "All")],
        required=False,
    )
    team = forms.ModelChoiceField(Team.objects.none(), required=False, empty_label="All teams")
    mine = forms.BooleanField(required=False)

    def __init__(self, data: Any, *, user: User) -> None:
        super().__init__(data)
        self.fields["team"].queryset = Team.objects.visible_to(user)
        for name in ("state", "team"):
            self.fields[name].widget.attrs["class"] = "input"
