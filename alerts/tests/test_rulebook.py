"""Writing rules: places without gaps, whatever happens at the same time, and nothing that cannot be read."""

from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from alerts import rulebook
from alerts.exceptions import NotTheIntegrationsRules, TooManyRules
from alerts.keys import authenticate
from alerts.models import IntegrationRule
from alerts.tests.factories import IntegrationFactory
from openalert.ids import uuid7
from teams.tests.factories import ServiceFactory

DROP = [{"do": "drop"}]
STAGING = [{"test": "equals", "field": "labels.env", "value": "staging"}]


@pytest.fixture
def integration(db):
    return IntegrationFactory()


def add(integration, name="Rule", conditions=(), actions=DROP, **facts):
    return rulebook.add(integration, name=name, conditions=list(conditions), actions=actions, **facts)


def in_order(integration):
    rules = list(integration.rules.order_by("position"))
    assert [rule.position for rule in rules] == list(range(len(rules)))
    return "".join(rule.name for rule in rules)


def test_new_rules_come_last_or_where_they_are_put(integration):
    add(integration, "a")
    add(integration, "c", conditions=STAGING, is_enabled=False)
    assert add(integration, "b", position=1).position == 1
    add(integration, "z", position=0)
    add(integration, "d", position=99)
    assert in_order(integration) == "zabcd"
    rule = integration.rules.get(name="c")
    assert (rule.conditions, rule.actions, rule.is_enabled) == (STAGING, DROP, False)


def test_removed_rule_leaves_no_gap(integration):
    rules = [add(integration, name) for name in "abc"]
    rulebook.remove(rules[0].pk)
    rulebook.remove(rules[0].pk)
    assert in_order(integration) == "bc"


@pytest.mark.parametrize(
    ("name", "by", "order"),
    [("a", 1, "bac"), ("c", -1, "acb"), ("a", -1, "abc"), ("c", 1, "abc"), ("a", 9, "bca"), ("c", -9, "cab")],
)
def test_moving(integration, name, by, order):
    rules = {each: add(integration, each) for each in "abc"}
    rulebook.move(rules[name].pk, by=by)
    assert in_order(integration) == order


def test_reordering_takes_all_rules_once(integration):
    a, b, c = (add(integration, name).pk for name in "abc")
    other = add(IntegrationFactory(), "x").pk
    rulebook.reorder(integration, [c, a, b])
    assert in_order(integration) == "cab"
    for wrong in ([a, b], [a, b, c, c], [a, b, uuid7()], [a, b, c, other], []):
        with pytest.raises(NotTheIntegrationsRules):
            rulebook.reorder(integration, wrong)
    assert in_order(integration) == "cab"


def test_edit_changes_what_is_given(integration):
    rule = add(integration, "a", conditions=STAGING)
    edited = rulebook.edit(rule.pk, name="b", is_enabled=False)
    assert edited == rule
    found = IntegrationRule.objects.get()
    assert (found.name, found.is_enabled, found.conditions, found.actions) == ("b", False, STAGING, DROP)
    add(integration, "c")
    assert rulebook.edit(rule.pk, position=3).position == 1
    assert in_order(integration) == "cb"
    with pytest.raises(TypeError, match="integration"):
        rulebook.edit(rule.pk, integration=integration)
    rulebook.remove(rule.pk)
    for gone in (lambda: rulebook.edit(rule.pk, name="c"), lambda: rulebook.move(rule.pk, by=1)):
        with pytest.raises(IntegrationRule.DoesNotExist):
            gone()


def test_a_service_that_a_rule_names_is_of_the_team_and_kept_in_step(integration):
    ours, theirs = ServiceFactory(team=integration.service.team), ServiceFactory()

    def to(service):
        return [{"do": "set_service", "service": str(service.pk)}]

    rule = add(integration, actions=to(ours))
    assert IntegrationRule.objects.get().to_service == ours
    for fault in (
        lambda: add(integration, actions=to(theirs)),
        lambda: rulebook.edit(rule.pk, actions=to(theirs)),
    ):
        with pytest.raises(ValidationError) as failure:
            fault()
        assert list(failure.value.message_dict) == ["actions"]
    rulebook.edit(rule.pk, actions=DROP)
    assert IntegrationRule.objects.get().to_service is None


@pytest.mark.parametrize(
    ("facts", "faults"),
    [
        ({"name": ""}, {"name": ["This field cannot be blank."]}),
        ({"name": "x" * 121}, {"name": ["Ensure this value has at most 120 characters (it has 121)."]}),
        ({"actions": []}, {"actions": ["This field cannot be blank.", "Say what is to be done."]}),
        (
            {"actions": [{"do": "set_title", "title": "{host"}]},
            {"actions": ["0.title: A brace has no partner; write {{ or }} for the brace itself."]},
        ),
        (
            {"conditions": [*STAGING, {"test": "equals", "field": "severity", "value": "bad"}]},
            {"conditions": ["1.value: “bad” is none of critical, high, medium, low."]},
        ),
    ],
)
def test_what_cannot_be_read_is_not_written(integration, facts, faults):
    rule = add(integration, "a")
    given = {"name": "b", "conditions": [], "actions": DROP} | facts
    for write in (lambda: rulebook.add(integration, **given), lambda: rulebook.edit(rule.pk, **given)):
        with pytest.raises(ValidationError) as failure:
            write()
        assert failure.value.message_dict == faults
    assert in_order(integration) == "a"


def test_there_are_fifty_rules_at_most(integration):
    for number in range(50):
        add(integration, str(number))
    with pytest.raises(TooManyRules):
        add(integration, "more")
    assert integration.rules.count() == 50


def test_every_write_makes_processes_forget_the_rules(transactional_db):
    integration = IntegrationFactory()
    stamps = [authenticate(integration.key).stamp]

    def changed(write):
        made = write()
        stamps.append(authenticate(integration.key).stamp)
        assert stamps[-1] != stamps[-2]
        return made

    a = changed(lambda: add(integration, "a"))
    b = changed(lambda: add(integration, "b"))
    changed(lambda: rulebook.edit(a.pk, name="c"))
    changed(lambda: rulebook.move(a.pk, by=1))
    changed(lambda: rulebook.reorder(integration, [a.pk, b.pk]))
    changed(lambda: rulebook.remove(a.pk))


def test_writes_at_the_same_time_take_different_places(transactional_db):
    integration = IntegrationFactory()
    rules = [add(integration, name) for name in "abcd"]
    start, failures = Barrier(6), []

    def work(number):
        start.wait()
        try:
            for _ in range(5):
                match number % 3:
                    case 0:
                        rulebook.remove(add(integration, "x", position=number).pk)
                    case 1:
                        rulebook.move(rules[number % 4].pk, by=2 - number)
                    case _:
                        rulebook.edit(rules[0].pk, name="a", is_enabled=number > 3)
        except Exception as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert failures == []
    assert sorted(in_order(integration)) == list("abcd")
