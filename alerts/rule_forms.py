"""A rule as people fill it in: its conditions, a row each, and what is to be done. `alerts.rules` has the last word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import BaseFormSet

from incidents.enums import Severity
from teams.models import Service

from . import rulebook, rules
from .exceptions import InvalidRule, TooManyRules
from .forms import LinesField, as_sent
from .models import Integration, IntegrationRule

TESTS = [
    ("equals", "is"),
    ("differs", "is not"),
    ("in", "is one of"),
    ("matches", "matches"),
    ("exists", "is there"),
    ("missing", "is not there"),
    ("hours", "comes between two times"),
]
WEEKDAYS = [(day, day.capitalize()) for day in rules.WEEKDAYS]
# For each kind of test: the key in JSON of each of its parts, and the form's field for it.
PARTS: Mapping[str, Mapping[str, str]] = {
    "equals": {"field": "field", "value": "value"},
    "differs": {"field": "field", "value": "value"},
    "in": {"field": "field", "values": "values"},
    "matches": {"field": "field", "pattern": "pattern"},
    "exists": {"field": "field"},
    "missing": {"field": "field"},
    "hours": {"from": "starts", "until": "ends", "weekdays": "weekdays", "time_zone": "time_zone"},
}
NEEDED = ("field", "values", "pattern", "starts", "ends")
TIME = "%H:%M"


def expression_input(**attrs: str) -> forms.TextInput:
    """For what is written for a machine."""
    return forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "autocapitalize": "off", **attrs})


def time_field(label: str) -> forms.TimeField:
    widget = forms.TimeInput(attrs={"type": "time"}, format=TIME)
    return forms.TimeField(required=False, input_formats=[TIME], label=label, widget=widget)


class ConditionForm(forms.Form):
    """A condition. `condition` is its JSON once the form is valid; parts of other kinds of tests do not count."""

    field = forms.CharField(
        required=False,
        max_length=rules.MAX_FIELD,
        label="Field",
        widget=expression_input(list="rule-fields", placeholder="labels.env", autocomplete="off"),
    )
    test = forms.ChoiceField(choices=TESTS, initial=TESTS[0][0], label="Test")
    value = forms.CharField(required=False, max_length=rules.MAX_VALUE, label="Value")
    values = LinesField(
        most=rules.MOST_VALUES,
        longest=rules.MAX_VALUE,
        required=False,
        label="Values",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "One in each line"}),
    )
    pattern = forms.CharField(
        required=False,
        max_length=rules.MAX_PATTERN,
        label="Pattern",
        strip=False,
        widget=expression_input(placeholder="^disk .* full$"),
    )
    starts = time_field("From")
    ends = time_field("Until")
    weekdays = forms.MultipleChoiceField(
        required=False, choices=WEEKDAYS, label="Weekdays", widget=forms.CheckboxSelectMultiple
    )
    time_zone = forms.CharField(
        required=False,
        max_length=64,
        label="Time zone",
        widget=forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
    )

    condition: dict[str, Any]

    def clean(self) -> None:
        test = self.cleaned_data.get("test")
        if test is None:
            return
        parts = PARTS[test]
        for name in set(self.errors) - set(parts.values()):
            del self.errors[name]  # what is not shown is no fault
        for name in parts.values():
            if name in NEEDED and name not in self.errors and not self.cleaned_data.get(name):
                self.add_error(name, "This field is required.")
        if self.errors:
            return
        condition = {"test": test, **{key: _plain(self.cleaned_data[name]) for key, name in parts.items()}}
        try:
            rules.read_conditions([condition])
        except InvalidRule as fault:
            self.add_error(parts.get((fault.field or "").split(".")[-1]), fault.detail)
        else:
            self.condition = condition


def _plain(value: Any) -> Any:
    return value.strftime(TIME) if hasattr(value, "strftime") else value


class BaseConditionFormSet(BaseFormSet):
    """All of a rule's conditions."""

    def clean(self) -> None:
        if any(self.errors):
            return
        try:
            rules.read_conditions(self.conditions)
        except InvalidRule as fault:
            raise forms.ValidationError(fault.detail) from None

    @property
    def conditions(self) -> list[dict[str, Any]]:
        return [form.condition for form in self.forms]

    def rows(self) -> list[dict[str, Any]]:
        """As they were sent, be they right or wrong: initial values for a formset with other rows."""
        return [typed(form) for form in self.forms]


_ConditionFormSet = forms.formset_factory(
    ConditionForm,
    formset=BaseConditionFormSet,
    extra=0,
    max_num=rules.MOST_CONDITIONS,
    absolute_max=rules.MOST_CONDITIONS + 1,
    validate_max=True,
)


def condition_forms(data: Any = None, *, rows: Sequence[Mapping[str, Any]] = ()) -> BaseConditionFormSet:
    """Bound to what was sent, or with these rows. A row that was left empty is a fault, not left out."""
    return _ConditionFormSet(
        data,
        initial=list(rows),
        prefix="conditions",
        form_kwargs={"empty_permitted": False, "use_required_attribute": False},
    )


class RuleForm(forms.Form):
    """A rule's name and its actions. `actions` are their JSON once the form is valid."""

    name = forms.CharField(max_length=120, label="Name")
    is_enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    outcome = forms.ChoiceField(
        choices=[("take", "Take it"), ("drop", "Drop it")],
        initial="take",
        label="What becomes of it",
        widget=forms.RadioSelect,
    )
    severity = forms.ChoiceField(
        required=False,
        choices=[("", "As it was sent"), *Severity.choices],
        label="Severity",
    )
    service = forms.ModelChoiceField(Service.objects.none(), required=False, label="Service")
    title = forms.CharField(
        required=False,
        max_length=rules.MAX_VALUE,
        label="Title",
        widget=expression_input(placeholder="{title} on {labels.host}"),
        help_text="A template: {labels.host} stands for the field, {{ and }} for braces.",
    )
    by = forms.CharField(
        required=False,
        max_length=rules.MAX_VALUE,
        label="Group by",
        widget=expression_input(placeholder="{labels.cluster}"),
        help_text="A template: alerts for which it gives the same text share an incident.",
    )
    delay = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=rules.LONGEST_DELAY_MINUTES,
        label="Until it has lasted (minutes)",
    )
    times = forms.IntegerField(
        required=False, min_value=2, max_value=rules.MOST_TIMES, label="Until it was sent (times)"
    )
    within = forms.IntegerField(
        required=False, min_value=1, max_value=rules.LONGEST_SPAN_MINUTES, label="within (minutes)"
    )
    stop = forms.BooleanField(required=False, label="Try no later rules on it")

    actions: list[dict[str, Any]]

    def __init__(self, data: Any = None, *, integration: Integration, initial: Any = None) -> None:
        super().__init__(data, initial=initial, use_required_attribute=False)
        service = self.fields["service"]
        service.queryset = Service.objects.filter(team=integration.service.team_id).order_by("name")
        service.empty_label = f"The integration’s, {integration.service}"

    def clean(self) -> None:
        given = self.cleaned_data
        if given.get("outcome") == "drop":
            for name in set(self.errors) - {"name"}:
                del self.errors[name]
            self.actions = [{"do": "drop"}]
            return
        for name, other in (("times", "within"), ("within", "times")):
            if given.get(other) and not given.get(name) and name not in self.errors:
                self.add_error(name, "Give both, or neither.")
        wanted = self._wanted(given)
        self.actions = [action for action, _ in wanted]
        if not wanted:
            if not self.errors:
                self.add_error("outcome", "Say what is to be done with it.")
            return
        try:
            rules.read_actions(self.actions)
        except InvalidRule as fault:
            place = (fault.field or "").split(".")
            self.add_error(wanted[int(place[1])][1] if len(place) > 1 else "outcome", fault.detail)

    @staticmethod
    def _wanted(given: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
        """Actions, each with the field at which its faults are told."""
        wanted: list[tuple[dict[str, Any], str]] = []
        if severity := given.get("severity"):
            wanted.append(({"do": "set_severity", "severity": severity}, "severity"))
        if service := given.get("service"):
            wanted.append(({"do": "set_service", "service": str(service.pk)}, "service"))
        if title := given.get("title"):
            wanted.append(({"do": "set_title", "title": title}, "title"))
        if by := given.get("by"):
            wanted.append(({"do": "group", "by": by}, "by"))
        if delay := given.get("delay"):
            wanted.append(({"do": "delay", "minutes": delay}, "delay"))
        if (times := given.get("times")) and (within := given.get("within")):
            wanted.append(({"do": "threshold", "times": times, "minutes": within}, "times"))
        if given.get("stop"):
            wanted.append(({"do": "stop"}, "stop"))
        return wanted


def typed(form: forms.Form) -> dict[str, Any]:
    """What was sent for a bound form's fields, be it right or wrong: initial values for another form."""
    return {name: form[name].data for name in form.fields}


@dataclass
class RuleForms:
    """A rule's form and those of its conditions, which are valid together."""

    form: RuleForm
    conditions: BaseConditionFormSet

    @classmethod
    def of(cls, integration: Integration, rule: IntegrationRule | None) -> "RuleForms":
        """As a page opens: with the rule, or for a new one."""
        initial, rows = _as_it_is(rule) if rule else ({}, [{}])
        return cls(RuleForm(integration=integration, initial=initial), condition_forms(rows=rows))

    @classmethod
    def sent(cls, integration: Integration, data: Mapping[str, Any]) -> "RuleForms":
        """What was filled in. With `add` in it a condition more, without the one that `remove` names: not bound then."""
        found = cls(RuleForm(data, integration=integration), condition_forms(data))
        if "add" not in data and "remove" not in data:
            return found
        rows = found.conditions.rows()
        if "add" in data:
            rows = [*rows, {}][: rules.MOST_CONDITIONS]
        else:
            rows = [row for place, row in enumerate(rows) if str(place) != data["remove"]]
        return cls(RuleForm(integration=integration, initial=typed(found.form)), condition_forms(rows=rows))

    def is_valid(self) -> bool:
        """Both are asked, so that all faults are told."""
        return self.form.is_valid() & self.conditions.is_valid()

    @property
    def is_faulty(self) -> bool:
        return self.form.is_bound and not self.is_valid()

    @property
    def is_begun(self) -> bool:
        """Whether what was filled in says more than a name: else it is as a new rule opens."""
        if set(self.form.changed_data) - {"name", "is_enabled"}:
            return True
        return len(self.conditions.forms) != 1 or self.conditions.has_changed()

    def save(self, integration: Integration, rule: IntegrationRule | None) -> IntegrationRule | None:
        """Of valid forms; a new rule comes last. None, and the fault in the form, when the rulebook refuses it."""
        given = {
            "name": self.form.cleaned_data["name"],
            "is_enabled": self.form.cleaned_data["is_enabled"],
            "conditions": self.conditions.conditions,
            "actions": self.form.actions,
        }
        try:
            return rulebook.edit(rule.pk, **given) if rule else rulebook.add(integration, **given)
        except TooManyRules as failure:
            self.form.add_error(None, failure.detail)
        except ValidationError as failure:  # a service that went to another team meanwhile
            self.form.add_error(None, failure.messages)
        except IntegrationRule.DoesNotExist:
            self.form.add_error(None, "Somebody has removed this rule meanwhile.")
        return None


def _as_it_is(rule: IntegrationRule) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Of a rule that can no longer be read, only the name: it is written anew."""
    try:
        rules.read_conditions(rule.conditions)
        rules.read_actions(rule.actions)
    except InvalidRule:
        return {"name": rule.name, "is_enabled": rule.is_enabled}, [{}]
    return filled_in(rule)


def filled_in(rule: IntegrationRule) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Initial values for the form of a rule that can be read, and for its rows."""
    initial: dict[str, Any] = {"name": rule.name, "is_enabled": rule.is_enabled, "outcome": "take"}
    for action in rule.actions:
        match action:
            case {"do": "drop"}:
                initial["outcome"] = "drop"
            case {"do": "threshold", "times": times, "minutes": minutes}:
                initial |= {"times": times, "within": minutes}
            case {"do": "delay", "minutes": minutes}:
                initial["delay"] = minutes
            case {"do": "stop"}:
                initial["stop"] = True
            case {"do": _, **parts}:
                initial |= parts
    return initial, [_row(condition) for condition in rule.conditions]


def _row(condition: Mapping[str, Any]) -> dict[str, Any]:
    test = condition["test"]
    return {"test": test} | {name: condition[key] for key, name in PARTS[test].items() if key in condition}


def is_shown_whole(rule: IntegrationRule) -> bool:
    """Whether a form that is saved as it opens leaves the rule as it is: programs write what forms cannot show."""
    try:
        there = rules.read_conditions(rule.conditions), rules.read_actions(rule.actions)
    except InvalidRule:
        return False
    initial, rows = filled_in(rule)
    opened = RuleForm(integration=rule.integration, initial=initial)
    form = RuleForm(as_sent(opened), integration=rule.integration)
    row_forms = [ConditionForm(as_sent(ConditionForm(initial=row))) for row in rows]
    if not form.is_valid() or not all(row_form.is_valid() for row_form in row_forms):
        return False
    shown = rules.read_conditions([row.condition for row in row_forms]), rules.read_actions(form.actions)
    return there[0] == shown[0] and sorted(map(repr, there[1])) == sorted(map(repr, shown[1]))
