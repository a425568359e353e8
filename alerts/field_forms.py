"""The fields of an integration for any JSON, as people fill them in. `alerts.fields` has the last word."""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms

from incidents.enums import Severity

from . import fields
from .exceptions import InvalidExpression
from .expressions import MAX_EXPRESSION, compile_expression
from .fields import Fields
from .forms import LinesField, as_sent
from .rule_forms import expression_input

SEVERITIES = ", ".join(Severity.values)


class ExpressionField(forms.CharField):
    """A JMESPath expression, or a template."""

    def __init__(self, label: str, placeholder: str = "", help_text: str = "") -> None:
        super().__init__(
            required=False,
            max_length=MAX_EXPRESSION,
            label=label,
            help_text=help_text,
            widget=expression_input(
                placeholder=placeholder, **{"data-takes-path": "", "autocomplete": "off"}
            ),
        )

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if text:
            _check(text)
        return text


class PairsField(LinesField):
    """A line for each, like “P1 = critical”; `split` takes one apart. `check` raises ValidationError for a value."""

    def __init__(
        self, *, split: Callable[[str], tuple[str, str, str]], check: Callable[[str], str], **options: Any
    ) -> None:
        super().__init__(longest=fields.MAX_WORD + MAX_EXPRESSION + 3, required=False, **options)
        self.split, self.check = split, check

    def prepare_value(self, value: Any) -> Any:
        return (
            "\n".join(f"{name} = {given}" for name, given in value.items())
            if isinstance(value, dict)
            else value
        )

    def clean(self, value: Any) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for line in super().clean(value):
            name, equals, given = (part.strip() for part in self.split(line))
            if not (name and equals and given):
                raise forms.ValidationError(f"“{line}” is not like “name = value”.")
            if len(name) > fields.MAX_WORD:
                raise forms.ValidationError(f"A name may have at most {fields.MAX_WORD} characters.")
            if name in pairs:
                raise forms.ValidationError(f"“{name}” is there twice.")
            try:
                pairs[name] = self.check(given)
            except forms.ValidationError as fault:
                raise forms.ValidationError(f"{name}: {fault.message}") from None
        return pairs


def _check(text: str) -> str:
    try:
        compile_expression(text)
    except InvalidExpression as fault:
        raise forms.ValidationError(fault.detail) from None
    return text


def _severity(word: str) -> str:
    if word.lower() not in Severity.values:
        raise forms.ValidationError(f"“{word}” is none of {SEVERITIES}.")
    return word.lower()


def _lines(rows: int, placeholder: str) -> forms.Textarea:
    attrs = {"rows": rows, "class": "mono", "spellcheck": "false", "autocapitalize": "off"}
    return forms.Textarea(attrs={**attrs, "placeholder": placeholder})


class FieldsForm(forms.Form):
    """Expressions by field. `given` is what is filled in, in the shape of `Integration.settings["fields"]`."""

    each = ExpressionField(
        "Alerts",
        "problems",
        "Only for payloads with several: picks a list, and each of its elements is an alert. The others are picked "
        "from the element then; a template has the whole as <code>whole</code>.",
    )
    title = ExpressionField("Title", "{{ payload.check.name }} on {{ payload.host }}")
    dedup_key = ExpressionField("Dedup key", "incident.id", "What is the same for the same problem.")
    status = ExpressionField("Status", "incident.state")
    resolved = LinesField(
        most=fields.MOST_WORDS,
        longest=fields.MAX_WORD,
        required=False,
        label="Over when the status is",
        help_text="One in each line, instead of the usual words.",
        widget=_lines(2, "resolved"),
    )
    acknowledged = LinesField(
        most=fields.MOST_WORDS,
        longest=fields.MAX_WORD,
        required=False,
        label="Acknowledged when it is",
        help_text="Everything else fires.",
        widget=_lines(2, "acknowledged"),
    )
    severity = ExpressionField("Severity", "incident.priority")
    severities = PairsField(
        most=fields.MOST_WORDS,
        split=lambda line: line.rpartition("="),
        check=_severity,
        label="What its values stand for",
        help_text=f"One in each line, before the usual words. Ours are {SEVERITIES}.",
        widget=_lines(3, "P1 = critical"),
    )
    name = ExpressionField("Kind of alert", "check.name", "For grouping by alert name.")
    source = ExpressionField("Source", "host")
    labels = PairsField(
        most=fields.MOST_LABELS,
        split=lambda line: line.partition("="),
        check=_check,
        label="Labels",
        help_text="One in each line, besides those that the payload has under the usual names.",
        widget=_lines(3, "cluster = tags.cluster"),
    )
    description = ExpressionField("Description", "incident.details")
    link = ExpressionField("Link", "incident.url")

    def __init__(self, data: Any = None, *, stored: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial=stored, use_required_attribute=False)

    @property
    def given(self) -> dict[str, Any]:
        """Without what is empty or wrong."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def picked(self) -> Fields:
        """What is filled in and can be understood."""
        return fields.read_fields(self.given)


def is_shown_whole(stored: Mapping[str, Any]) -> bool:
    """Whether a form that is saved as it opens leaves the fields as they are: programs write what it cannot show."""
    again = FieldsForm(as_sent(FieldsForm(stored=stored)))
    return again.is_valid() and again.given == stored
