"""What rules would have done to what came last, and rules in words."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import dry_run, rules
from alerts.dry_run import Effect
from alerts.models import Alert, HeldAlert, IntegrationRule
from alerts.rule_words import hold_in_words, rule_in_words
from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents.tests.factories import IncidentFactory
from teams.tests.factories import ServiceFactory

DROP = {"do": "drop"}


@pytest.fixture
def integration(db):
    return IntegrationFactory(service__name="Checkout", service__team__time_zone="Europe/Berlin")


def rule(integration, name, conditions, *actions, **facts):
    """Not saved."""
    return IntegrationRule(
        integration=integration, name=name, conditions=conditions, actions=list(actions), **facts
    )


def alert(integration, title, **facts):
    incident = IncidentFactory(service=integration.service)
    return AlertFactory(integration=integration, incident=incident, title=title, **facts)


def is_(field, value):
    return [{"test": "equals", "field": field, "value": value}]


def test_says_what_would_become_of_each_alert(integration):
    search = ServiceFactory(team=integration.service.team, name="Search")
    dropped = alert(integration, "Noise", labels={"env": "test"})
    alert(integration, "Calm")
    changed = alert(integration, "Slow", labels={"host": "db1"})
    held = alert(integration, "Blip", metadata={"kind": "probe"})
    AlertFactory(title="Noise")
    tried = dry_run.run(
        [
            rule(integration, "No tests", is_("labels.env", "test"), DROP),
            rule(
                integration,
                "Hosts",
                [{"test": "exists", "field": "labels.host"}],
                {"do": "set_severity", "severity": "low"},
                {"do": "set_title", "title": "{title} on {labels.host}"},
                {"do": "group", "by": "{labels.host}"},
                {"do": "set_service", "service": str(search.pk)},
            ),
            rule(integration, "Off", [], DROP, is_enabled=False),
            rule(integration, "Moved on", is_("severity", "low"), {"do": "stop"}),
            rule(integration, "Calm down", is_("name", "Calm"), {"do": "set_severity", "severity": "high"}),
            rule(
                integration,
                "Probes",
                is_("metadata.kind", "probe"),
                {"do": "delay", "minutes": 5},
                {"do": "threshold", "times": 3, "minutes": 90},
            ),
        ],
        integration,
    )
    assert tried[:6] == (4, 1, 1, 1, 1, 1)
    # “Calm down” changes nothing, but has a say.
    assert tried.matched == {"No tests": 1, "Hosts": 1, "Moved on": 1, "Calm down": 1, "Probes": 1}
    assert tried.tried == (
        (held, ("Probes",), False, (Effect("hold", "", "until it was sent 3 times in 1 h 30 min and has lasted 5 min"),)),
        (
            changed,
            ("Hosts", "Moved on"),
            False,
            (
                Effect("severity", "high", "low"),
                Effect("title", "Slow", "Slow on db1"),
                Effect("grouping", "", "db1"),
                Effect("service", "Checkout", "Search"),
            ),
        ),
        (dropped, ("No tests",), True, ()),
    )  # fmt: skip
    assert not HeldAlert.objects.exists() and Alert.objects.filter(title="Slow", severity="high").exists()


def test_metadata_is_loaded_when_a_rule_looks_at_it(integration):
    alert(integration, "Slow", metadata={"kind": "probe"})
    title = {"do": "set_title", "title": "{title}: {metadata.kind}"}
    for conditions, action, after in (
        (is_("metadata.kind", "probe"), DROP, ()),
        ([], title, (Effect("title", "Slow", "Slow: probe"),)),
    ):
        [tried] = dry_run.run([rule(integration, "Kind", conditions, action)], integration).tried
        assert (tried.effects, "metadata" in tried.alert.get_deferred_fields()) == (after, False)
    [tried] = dry_run.run([rule(integration, "All", [], DROP)], integration).tried
    assert tried.dropped and "metadata" in tried.alert.get_deferred_fields()


def test_hours_are_those_of_the_alerts_first_firing(integration):
    alert(integration, "Day", first_fired_at=datetime(2026, 7, 17, 7, 30, tzinfo=UTC))
    alert(integration, "Night", first_fired_at=datetime(2026, 7, 17, 6, 30, tzinfo=UTC))
    # In Berlin.
    hours = [{"test": "hours", "from": "09:00", "until": "10:00"}]
    tried = dry_run.run([rule(integration, "Day", hours, DROP)], integration)
    assert [each.alert.title for each in tried.tried] == ["Day"]


def test_a_service_of_another_team_changes_nothing(integration):
    to = {"do": "set_service", "service": str(ServiceFactory().pk)}
    home = {"do": "set_service", "service": str(integration.service_id)}
    alert(integration, "Slow")
    for action in (to, home):
        assert dry_run.run([rule(integration, "Away", [], action)], integration).untouched == 1


def test_only_the_newest_are_tried(integration):
    alerts = [alert(integration, f"{number}") for number in range(4)]
    tried = dry_run.run([rule(integration, "All", [], DROP)], integration, limit=3)
    assert [each.alert for each in tried.tried] == alerts[:0:-1]
    assert dry_run.run([], integration) == (4, 0, 0, 0, 0, 4, (), {})
    assert dry_run.run([], IntegrationFactory()) == (0, 0, 0, 0, 0, 0, (), {})


def test_fifty_rules_on_two_hundred_alerts_are_quick_and_two_queries(integration):
    incident = IncidentFactory(service=integration.service)
    now = incident.opened_at
    Alert.objects.bulk_create(
        Alert(
            integration=integration,
            incident=incident,
            dedup_key=f"{number}",
            title=f"Disk of db{number} is {number % 100}% full",
            severity="high",
            labels={f"label{n}": f"value {n} {number}" for n in range(20)},
            metadata={"description": "x " * 1000, "list": [{"a": n} for n in range(50)]},
            first_fired_at=now,
            last_fired_at=now,
        )
        for number in range(200)
    )
    to = {"do": "set_service", "service": str(ServiceFactory(team=integration.service.team).pk)}
    rules_ = [
        rule(
            integration,
            f"Rule {number}",
            [
                {"test": "matches", "field": "title", "pattern": f"(?i)(disk|memory) of .*{number}"},
                {"test": "matches", "field": "metadata.description", "pattern": "(x ?|y )+$"},
                {"test": "in", "field": "labels.label7", "values": ["a", "b", f"value 7 {number}"]},
                {"test": "hours", "from": "00:00", "until": "00:00", "time_zone": "Asia/Tokyo"},
            ],
            {"do": "set_title", "title": "{title} {labels.label3}"},
            to,
        )
        for number in range(50)
    ]
    dry_run.run(rules_, integration)
    began = time.process_time()
    with CaptureQueriesContext(connection) as queries:
        tried = dry_run.run(rules_, integration)
    assert (tried.total, tried.moved, len(queries)) == (200, 50, 2)
    assert time.process_time() - began < 0.2


# Words


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"test": "equals", "field": "labels.env", "value": " staging "}, "labels.env is “staging”"),
        ({"test": "equals", "field": "source", "value": ""}, "source is empty"),
        ({"test": "differs", "field": "title", "value": "x"}, "title is not “x”"),
        ({"test": "in", "field": "source", "values": ["a"]}, "source is “a”"),
        ({"test": "in", "field": "source", "values": ["a", "b", ""]}, "source is “a”, “b” or empty"),
        (
            {"test": "in", "field": "source", "values": list("abcdefg")},
            "source is “a”, “b”, “c”, “d”, “e” or one of 2 more",
        ),
        ({"test": "matches", "field": "title", "pattern": "^a"}, "title matches “^a”"),
        ({"test": "exists", "field": "labels.x"}, "labels.x is there"),
        ({"test": "missing", "field": "labels.x"}, "labels.x is not there"),
        ({"test": "hours", "from": "09:00", "until": "17:00"}, "it comes from 09:00 to 17:00"),
        (
            {
                "test": "hours",
                "from": "22:00",
                "until": "06:00",
                "weekdays": ["sun", "fri"],
                "time_zone": "UTC",
            },
            "it comes from 22:00 to 06:00 of the next day on Fri and Sun (UTC)",
        ),
    ],
)
def test_conditions_in_words(condition, words):
    read = rules.read_conditions([condition])
    assert rule_in_words(read, [rules.Drop()], {}) == (f"When {words}", "drop it")


def test_actions_in_words():
    service = UUID(int=1)
    read = rules.read_actions(
        [
            {"do": "set_severity", "severity": "low"},
            {"do": "set_title", "title": "{title}!"},
            {"do": "group", "by": "{labels.rack}"},
            {"do": "set_service", "service": str(service)},
            {"do": "delay", "minutes": 5},
            {"do": "threshold", "times": 3, "minutes": 10},
            {"do": "stop"},
        ]
    )
    words = (
        "make it low, title it “{title}!”, group it by “{labels.rack}”, send it to Search, hold it until it has "
        "lasted 5 min, hold it until it was sent 3 times in 10 min and try no more rules"
    )
    assert rule_in_words([], read, {service: "Search"}) == ("Always", words)
    assert rule_in_words([], read[3:4], {})[1] == "send it to a service that is no longer there"
    assert hold_in_words(timedelta(days=1), None, None) == "until it has lasted 24 h"
