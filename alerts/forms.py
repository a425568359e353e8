"""What people fill in about integrations."""

from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField

from teams.models import Service

from .enums import Source
from .formats import FORMATS, email
from .models import Integration

MOST_LABELS = 20
LABELS = {
    "name": "Name",
    "source": "What sends the alerts",
    "secret": "Signing secret",
    "is_enabled": "Takes alerts",
    "grouping": "Alerts become one incident",
    "grouping_window_minutes": "Window, in minutes",
}
NAME_HELP = "How people recognise it on an incident, like “Prometheus eu-1”."


def labels_field() -> SimpleArrayField:
    return SimpleArrayField(
        forms.CharField(max_length=128),
        required=False,
        max_length=MOST_LABELS,
        label="Labels to group by",
        help_text="Only for grouping by chosen labels: their names with commas between them, like cluster, alertname.",
    )


class NamedOnce(forms.ModelForm):
    """The constraint's words are for machines."""

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        others = self.instance.service.integrations.exclude(pk=self.instance.pk)
        if others.filter(name__iexact=name).exists():
            raise forms.ValidationError("The service has an integration of this name already.")
        return name


class IntegrationForm(NamedOnce):
    """A new door into a service."""

    grouping_labels = labels_field()

    class Meta:
        model = Integration
        fields = ("name", "source", "secret", "grouping", "grouping_labels", "grouping_window_minutes")
        labels = LABELS
        help_texts = {
            "name": NAME_HELP,
            "secret": "For Grafana, GitHub, Sentry and others that sign what they send. Empty: the key alone counts.",
        }

    def __init__(self, data: Any = None, *, service: Service) -> None:
        super().__init__(data, instance=Integration(service=service))
        self.fields["source"].choices = [
            (value, label) for value, label in Source.choices if value in FORMATS
        ]


class LinesField(forms.CharField):
    """A list of texts, one in each line, at most `most` of them and none longer than `longest`."""

    widget = forms.Textarea(attrs={"rows": 3})

    def __init__(self, *, most: int, longest: int, **options: Any) -> None:
        super().__init__(**options)
        self.most, self.longest = most, longest

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else "\n".join(value or ())

    def clean(self, value: Any) -> list[str]:
        lines = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        if len(lines) > self.most:
            raise forms.ValidationError(f"Give at most {self.most}.")
        if any(len(line) > self.longest for line in lines):
            raise forms.ValidationError(f"Each may have at most {self.longest} characters.")
        return lines


def as_sent(form: forms.Form) -> dict[str, Any]:
    """What a browser sends when a form is saved as it opens. It knows no line breaks in what is one line."""
    sent: dict[str, Any] = {}
    for name, initial in form.initial.items():
        field = form.fields[name]
        value = field.prepare_value(initial)
        one_line = isinstance(value, str) and isinstance(field.widget, forms.TextInput)
        sent[name] = "".join(value.splitlines()) if one_line else value
    return sent


def words_field(**options: Any) -> LinesField:
    return LinesField(most=email.MOST_WORDS, longest=email.LONGEST_WORD, required=False, **options)


class IntegrationEditForm(NamedOnce):
    """What can be changed of an integration; its source and its service stay.

    `changes` and `settings` are for integrations.change_integration.
    """

    secret = forms.CharField(
        required=False,
        max_length=Integration._meta.get_field("secret").max_length,
        label=LABELS["secret"],
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    remove_secret = forms.BooleanField(
        required=False,
        label="Remove the signing secret",
        help_text="Signatures are no longer checked then: the key alone counts.",
    )
    grouping_labels = labels_field()
    email_dedup = forms.ChoiceField(
        label="Mails are about the same problem",
        choices=[
            ("subject", "when their subjects are the same but for the state"),
            ("thread", "when they answer one another"),
            ("message", "never: each mail is its own"),
        ],
    )
    email_over = words_field(
        label="Words that mean it is over",
        help_text="One in each line, found anywhere in a subject, instead of the usual ones.",
    )
    email_firing = words_field(
        label="More words that mean it fires",
        help_text="One in each line, besides the usual ones.",
    )

    class Meta:
        model = Integration
        fields = ("name", "is_enabled", "grouping", "grouping_labels", "grouping_window_minutes")
        labels = LABELS
        help_texts = {"name": NAME_HELP, "is_enabled": "Off: whatever comes with its key is refused."}

    def __init__(self, data: Any = None, *, integration: Integration) -> None:
        super().__init__(data, instance=integration)
        if integration.secret:
            self.fields["secret"].help_text = "There is one. Leave this empty to keep it."
        else:
            self.fields["secret"].help_text = "There is none: the key alone counts."
            del self.fields["remove_secret"]
        if integration.source == Source.EMAIL:
            present = email.settings_of(integration)
            for name in ("dedup", "over", "firing"):
                self.fields[f"email_{name}"].initial = getattr(present, name)
        else:
            for name in ("dedup", "over", "firing"):
                del self.fields[f"email_{name}"]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("secret") and given.get("remove_secret"):
            self.add_error("remove_secret", "A new secret is given: clear it, or take this tick away.")
        return given

    @property
    def changes(self) -> dict[str, Any]:
        given = self.cleaned_data
        changes = {name: given[name] for name in self.Meta.fields}
        if given["secret"] or given.get("remove_secret"):
            changes["secret"] = given["secret"]
        return changes

    @property
    def settings(self) -> dict[str, Any]:
        if self.instance.source != Source.EMAIL:
            return {}
        return {"email": {name: self.cleaned_data[f"email_{name}"] for name in ("dedup", "over", "firing")}}
