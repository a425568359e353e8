"""What people fill in about how they are reached."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from incidents.enums import Severity, Urgency
from teams.access import teams_to_manage
from teams.models import User

from . import addresses
from .enums import Channel, WebhookEvent
from .models import WEEKDAYS, ContactMethod, QuietHours, Webhook
from .text_samples import Kind
from .transports import TRANSPORTS

LONGEST_DELAY_MINUTES = 1440
# Devices hand in addresses of their own: a browser by its button, a phone app through the API.
NOT_TYPED = (Channel.WEB_PUSH, Channel.MOBILE_PUSH)
ADDRESS_HELP = (
    "An email address, a phone number with its country code, your member ID in Slack, the webhook of a Teams "
    "workflow, or an Apprise URL."
)


class ContactMethodForm(forms.ModelForm):
    class Meta:
        model = ContactMethod
        fields = ("channel", "address", "label")
        help_texts = {"address": ADDRESS_HELP, "label": "Your own name for it, like “work”."}

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data, instance=ContactMethod(user=user, channel=Channel.EMAIL))
        has_in_app = ContactMethod.objects.filter(user=user, channel=Channel.IN_APP).exists()
        left_out = NOT_TYPED + ((Channel.IN_APP,) if has_in_app else ())
        self.fields["channel"].choices = [
            (channel.value, channel.label)
            for channel, transport in TRANSPORTS.items()
            if channel not in left_out and transport.is_configured()
        ]
        self.fields["address"].required = has_in_app

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        address = self._stored(cleaned.get("channel", ""), cleaned.get("address", ""))
        same = ContactMethod.objects.filter(
            user=self.instance.user, channel=cleaned.get("channel", ""), address__iexact=address
        )
        if same.exists():
            raise forms.ValidationError("You have this contact method already.")
        return cleaned

    @staticmethod
    def _stored(channel: str, address: str) -> str:
        """As the model will store it; what is wrong with it the model tells."""
        try:
            return addresses.checked(Channel(channel), address)
        except (ValidationError, ValueError):
            return address


class CodeForm(forms.Form):
    """The code that was sent to a contact method."""

    code = forms.CharField(
        max_length=20,
        label="Code",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )


class TextSampleForm(forms.Form):
    """An incident that is none, to see what pages would say of it."""

    DEFAULTS = {
        "title": "Checkout errors above 5 % for 10 minutes",
        "severity": Severity.CRITICAL,
        "service": "Payments",
        "kind": Kind.PAGE,
    }

    title = forms.CharField(max_length=1024)
    severity = forms.TypedChoiceField(choices=Severity.choices, coerce=Severity)
    service = forms.CharField(max_length=120)
    kind = forms.TypedChoiceField(choices=Kind.choices, coerce=Kind, label="What")


class WebhookForm(forms.ModelForm):
    """A new webhook of one of the teams that the person manages."""

    events = forms.MultipleChoiceField(
        choices=WebhookEvent.of_incidents(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Events",
        help_text="None: all.",
    )

    class Meta:
        model = Webhook
        fields = ("team", "name", "url", "format", "events")
        labels = {"url": "Address", "format": "Told as"}

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data, auto_id="id_webhook_%s")
        self.fields["team"].queryset = teams_to_manage(user)
        self.fields["team"].empty_label = None


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
