"""What people fill in about how they are reached."""

from typing import Any

from django import forms

from incidents.enums import Urgency
from teams.models import User

from .enums import Channel
from .models import WEEKDAYS, ContactMethod, QuietHours

LONGEST_DELAY_MINUTES = 1440


class ContactMethodForm(forms.ModelForm):
    class Meta:
        model = ContactMethod
        fields = ("channel", "address", "label")
        help_texts = {"address": "", "label": "Your own name for it, like “work”."}

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data, instance=ContactMethod(user=user, channel=Channel.EMAIL))
        has_in_app = ContactMethod.objects.filter(user=user, channel=Channel.IN_APP).exists()
        self.fields["channel"].choices = [
            choice for choice in Channel.choices if not has_in_app or choice[0] != Channel.IN_APP
        ]
        self.fields["address"].required = has_in_app

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        address = "" if cleaned.get("channel") == Channel.IN_APP else cleaned.get("address", "")
        same = ContactMethod.objects.filter(
            user=self.instance.user, channel=cleaned.get("channel", ""), address__iexact=address
        )
        if same.exists():
            raise forms.ValidationError("You have this contact method already.")
        return cleaned


class RuleForm(forms.Form):
    """A rule for one urgency: one of the person's methods, and how long to wait."""

    urgency = forms.ChoiceField(choices=Urgency.choices, widget=forms.HiddenInput)
    contact_method = forms.ModelChoiceField(ContactMethod.objects.none(), label="Use", empty_label=None)
    delay_minutes = forms.IntegerField(
        min_value=0, max_value=LONGEST_DELAY_MINUTES, initial=0, label="After minutes"
    )

    def __init__(self, data: Any = None, *, user: User, urgency: str = Urgency.HIGH) -> None:
        super().__init__(data, initial={"urgency": urgency}, auto_id=f"id_{urgency}_%s")
        self.fields["contact_method"].queryset = ContactMethod.objects.filter(user=user)


class QuietHoursForm(forms.ModelForm):
    """Quiet hours of a person; the methods are the person's own."""

    weekdays = forms.TypedMultipleChoiceField(
        choices=list(enumerate(WEEKDAYS)),
        coerce=int,
        required=False,
        label="Beginning on",
        help_text="None: every day.",
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = QuietHours
        fields = ("starts", "until", "weekdays", "allowed_methods")
        widgets = {
            "starts": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "until": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "allowed_methods": forms.CheckboxSelectMultiple,
        }
        labels = {"starts": "From", "until": "Until", "allowed_methods": "All the same by"}
        help_texts = {"allowed_methods": "Pages go by these in quiet hours too."}

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data, instance=QuietHours(user=user), auto_id="id_quiet_%s")
        self.fields["allowed_methods"].queryset = ContactMethod.objects.filter(user=user)
