"""An integration's rules are written here: added, edited, put in order, removed. Intake heeds it with the next alert.

Every write locks the integration's row first, so that two of them do not take one place; alerts come in meanwhile.
Positions count from 0 without gaps.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from openalert import audit

from .exceptions import NotTheIntegrationsRules, TooManyRules
from .models import Integration, IntegrationRule

MOST_RULES = 50
WRITTEN = ("name", "is_enabled", "conditions", "actions")
# What the caller does not choose.
NOT_CHECKED = ("integration", "position", "to_service")


@transaction.atomic
def add(
    integration: Integration,
    *,
    name: str,
    conditions: list[Any],
    actions: list[Any],
    is_enabled: bool = True,
    position: int | None = None,
) -> IntegrationRule:
    """Add a rule at this place from 0; without one, or with one beyond the last, it is the last.

    Raises ValidationError, TooManyRules.
    """
    _lock(integration.pk)
    rule = IntegrationRule(
        integration=integration, name=name, conditions=conditions, actions=actions, is_enabled=is_enabled
    )
    _check(rule)
    rules = list(integration.rules.order_by("position"))
    if len(rules) >= MOST_RULES:
        raise TooManyRules
    rules.insert(len(rules) if position is None else max(position, 0), rule)
    _number(rules)
    rule.save(force_insert=True)
    return rule


@transaction.atomic
def edit(rule_id: UUID, *, position: int | None = None, **changes: Any) -> IntegrationRule:
    """Change those of WRITTEN that are given, and the rule's place when one is named; beyond the last is the last.

    Raises IntegrationRule.DoesNotExist, ValidationError.
    """
    rule = _locked_rule(rule_id)
    for name in WRITTEN:
        if name in changes:
            setattr(rule, name, changes.pop(name))
    if changes:
        raise TypeError(f"rules have no {', '.join(changes)} to change")
    _check(rule)
    rule.save()
    if position is not None:
        _put(rule, position)
    return rule


@transaction.atomic
def remove(rule_id: UUID) -> None:
    """Doing it again changes nothing. What the rule holds back stays held, and becomes an alert when it is due."""
    try:
        rule = _locked_rule(rule_id)
    except IntegrationRule.DoesNotExist:
        return
    rule.delete()
    _number(list(rule.integration.rules.order_by("position")))


@transaction.atomic
def reorder(integration: Integration, rule_ids: Sequence[UUID]) -> None:
    """Try the rules in this order from now on.

    Raises NotTheIntegrationsRules unless all of the integration's rules are named, once each.
    """
    _lock(integration.pk)
    rules = integration.rules.in_bulk()
    if sorted(rules) != sorted(rule_ids):
        raise NotTheIntegrationsRules(field="rules")
    _number([rules[rule_id] for rule_id in rule_ids])


@transaction.atomic
def move(rule_id: UUID, *, by: int) -> IntegrationRule:
    """Put a rule so many places further down, or up when it is negative; at the ends it stays.

    Raises IntegrationRule.DoesNotExist.
    """
    rule = _locked_rule(rule_id)
    _put(rule, rule.position + by)
    return rule


def _lock(integration_id: UUID) -> None:
    # NO KEY, so that intake, which only keeps the row from being deleted, does not wait.
    Integration.objects.select_for_update(no_key=True).get(pk=integration_id)


def _locked_rule(rule_id: UUID) -> IntegrationRule:
    """Raises IntegrationRule.DoesNotExist."""
    integration_id = IntegrationRule.objects.values_list("integration", flat=True).get(pk=rule_id)
    _lock(integration_id)
    # As it is now that nobody else writes it.
    return IntegrationRule.objects.select_related("integration__service").get(pk=rule_id)


def _check(rule: IntegrationRule) -> None:
    rule.full_clean(exclude=NOT_CHECKED, validate_constraints=False)


def _put(rule: IntegrationRule, position: int) -> None:
    rules = [other for other in rule.integration.rules.order_by("position") if other.pk != rule.pk]
    rules.insert(max(position, 0), rule)
    _number(rules)


def _number(rules: Sequence[IntegrationRule]) -> None:
    """Give them the places that they have in the list; those that are in the database are written."""
    moved, before = [], {}
    for place, rule in enumerate(rules):
        if rule.position != place:
            before[rule] = copy(rule)
            rule.position, rule.updated_at = place, timezone.now()
            moved.append(rule)
    stored = [rule for rule in moved if not rule._state.adding]
    IntegrationRule.objects.bulk_update(stored, ["position", "updated_at"])
    audit.changed_all((before[rule], rule) for rule in stored)
