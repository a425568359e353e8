"""A team's routing rules in the admin: in the order in which they are tried, on the team's page and each on its own."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db import transaction
from unfold.widgets import UnfoldAdminSelect2MultipleWidget

from incidents.enums import Severity
from openalert.admin_access import RowsChanged
from openalert.admin_order import PLACE, OrderedForm, OrderedFormSet, OrderedInline, PlaceField
from teams.models import Team

from . import routing
from .models import RoutingRule

LAST = 100_000  # beyond any rule


def severities_field() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=Severity.choices,
        required=False,
        widget=UnfoldAdminSelect2MultipleWidget(attrs={"aria-label": "Severities"}),
        help_text="None: any severity.",
    )


class RoutingRuleForm(OrderedForm):
    position = PlaceField(help_text="The first rule that matches decides. Empty: after the last one.")
    severities = severities_field()

    class Meta:
        model = RoutingRule
        fields = ("team", "position", "service", "severities", "labels", "hours", "time_zone", "policy")

    @transaction.atomic
    def write(self) -> None:
        """Save the rule, validated before, and try it in its place. Raises RowsChanged if somebody has removed it."""
        rule = self.instance
        if not rule._state.adding:
            Team.objects.select_for_update().get(pk=rule.team_id)
            held = RoutingRule.objects.select_for_update(no_key=True).filter(pk=rule.pk).first()
            if held is None:
                raise RowsChanged
            rule.position = held.position
        routing.save_rule(rule)
        if PLACE in self.changed_data:
            place = self.cleaned_data[PLACE] or LAST
            routing.move(rule_id=rule.pk, by=place - 1 - rule.position)


class RuleRowForm(OrderedForm):
    """What most rules are about; a rule's own page has the rest, and its title all of it in words."""

    severities = severities_field()

    class Meta:
        model = RoutingRule
        fields = ("position", "service", "severities", "policy")

    def __init__(self, *args: Any, team: Team, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["service"].queryset = team.services.all()
        self.fields["policy"].queryset = team.escalation_policies.all()
        for name in ("service", "policy"):  # no room for buttons beside them
            widget = self.fields[name].widget
            for what in ("add", "change", "delete", "view"):
                setattr(widget, f"can_{what}_related", False)


class RuleFormSet(OrderedFormSet):
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "team": self.instance}

    def write(self, staying: Sequence[RuleRowForm]) -> None:
        for rule in self.deleted_objects:
            rule.delete()
        for form in staying:
            if set(form.changed_data) - {PLACE}:
                routing.save_rule(form.instance)
        routing.reorder(team=self.instance, rule_ids=self.whole_order(staying))


class RuleInline(OrderedInline):
    model = RoutingRule
    form = RuleRowForm
    formset = RuleFormSet
    fields = ("position", "service", "severities", "policy")
    show_change_link = True
    verbose_name_plural = "routing rules: the first that matches decides"
