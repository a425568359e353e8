"""Which policy is in charge."""

from datetime import UTC, datetime

import pytest

from alerts.tests.factories import AlertFactory
from escalations import routing
from escalations.models import EscalationRun
from escalations.tests.factories import PagingSettingsFactory, PolicyFactory, RoutingRuleFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from teams.tests.factories import ServiceFactory

NIGHT = {"from": "22:00", "until": "06:00", "weekdays": ["mon"]}


def policy(pager, name, *people):
    return PolicyFactory(
        team=pager.team, name=name, levels=[[pager.person(p) for p in people]] if people else []
    )


def rule(pager, name, **fields):
    return RoutingRuleFactory(team=pager.team, policy=policy(pager, name), **fields)


def in_charge(incident):
    return incident.escalation_runs.get().policy.name


def test_labels_of_the_alerts_that_open_an_incident_choose_the_policy(pager):
    rule(pager, "payments", labels={"env": "prod", "app": "payments"})
    rule(pager, "any app", labels={"app": ""})
    rule(pager, "rest")
    pager.integration.grouping = "none"
    fired = [
        pager.fire(str(n), labels=labels)
        for n, labels in enumerate(
            [{"env": "prod", "app": "payments"}, {"env": "test", "app": "payments"}, {"env": "prod"}]
        )
    ]
    assert [in_charge(incident) for incident in fired] == ["payments", "any app", "rest"]


def test_labels_may_be_of_different_alerts(pager):
    chosen = rule(pager, "both", labels={"env": "prod", "app": "shop"})
    incident = IncidentFactory(service=pager.service)
    AlertFactory(incident=incident, integration=pager.integration, labels={"env": "prod"})
    assert routing.policies_for([incident]) == {}
    AlertFactory(incident=incident, integration=pager.integration, labels={"app": "shop"})
    assert routing.policies_for([incident]) == {incident.pk: chosen.policy}


def test_an_incident_that_is_opened_again_goes_by_the_labels_that_its_alerts_have(pager):
    rule(pager, "prod", labels={"env": "prod"})
    incident = pager.fire(labels={"env": "test"})
    assert not incident.escalation_runs.exists()
    pager.fire("second", name="disk", labels={"env": "prod"})
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    lifecycle.unacknowledge(incident_id=incident.pk, actor=SYSTEM)
    assert in_charge(incident) == "prod"


@pytest.mark.parametrize(
    ("time_zone", "at", "name"),
    [
        # Monday 2 March 2026 and the night to Tuesday, in Berlin: an hour ahead of UTC.
        ("", datetime(2026, 3, 2, 20, 59, tzinfo=UTC), "rest"),
        ("", datetime(2026, 3, 2, 21, 0, tzinfo=UTC), "night"),
        ("", datetime(2026, 3, 3, 4, 59, tzinfo=UTC), "night"),
        ("", datetime(2026, 3, 3, 5, 0, tzinfo=UTC), "rest"),
        ("", datetime(2026, 3, 3, 21, 0, tzinfo=UTC), "rest"),
        ("Asia/Tokyo", datetime(2026, 3, 2, 13, 0, tzinfo=UTC), "night"),
        ("Asia/Tokyo", datetime(2026, 3, 2, 21, 0, tzinfo=UTC), "rest"),
    ],
)
def test_hours_are_the_teams_or_those_of_a_zone(pager, time_zone, at, name):
    pager.team.time_zone = "Europe/Berlin"
    pager.team.save()
    rule(pager, "night", hours=NIGHT, time_zone=time_zone)
    rule(pager, "rest")
    incident = IncidentFactory(service=pager.service)
    assert routing.policies_for([incident], at=at)[incident.pk].name == name


def test_the_default_policy_takes_what_no_rule_takes(pager):
    rule(pager, "critical", severities=[Severity.CRITICAL])
    PagingSettingsFactory(team=pager.team, default_policy=policy(pager, "default", "ana"))
    pager.integration.grouping = "none"
    assert in_charge(pager.fire("1")) == "critical"
    low = pager.fire("2", severity=Severity.LOW)
    assert (in_charge(low), pager.paged(low)) == ("default", ["ana"])


def test_without_a_default_nobody_is_in_charge(pager):
    PagingSettingsFactory(team=pager.team, default_policy=None)
    PagingSettingsFactory()
    incident = pager.fire()
    assert pager.story(incident) == [Kind.OPENED, Kind.NOBODY_TO_PAGE]
    assert not EscalationRun.objects.exists()


def test_choosing_takes_the_same_queries_for_many_incidents(pager, django_assert_num_queries):
    rule(pager, "labels", labels={"env": "prod"})
    PagingSettingsFactory(team=pager.team, default_policy=policy(pager, "default", "ana"))
    incidents = [IncidentFactory(service=ServiceFactory(team=pager.team)) for _ in range(3)]
    for some in (incidents[:1], incidents):
        with django_assert_num_queries(6):  # rules, labels, defaults, policies, steps, targets
            assert len(routing.choices_for(some, at=pager.clock.now)) == len(some)
