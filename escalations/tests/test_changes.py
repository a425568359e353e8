"""Acknowledgements that run out, and severities that change."""

import pytest

from escalations import changes, engine
from escalations.enums import RunStatus
from escalations.models import EscalationRun
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity, Status
from incidents.timeline import SYSTEM
from notifications.enums import NotificationStatus
from notifications.models import Notification
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory
from teams.tests.factories import OverrideFactory, ScheduleFactory


def acknowledge(pager, incident, who):
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting(who))


def test_paging_goes_on_when_an_acknowledgement_runs_out(pager):
    pager.policy(["ana"], ["bo"], ["cy"], acknowledge_timeout_minutes=30)
    incident = pager.fire()
    pager.wait(minutes=5)
    acknowledge(pager, incident, "bo")
    pager.wait(minutes=29, seconds=59)
    assert pager.paged(incident) == ["ana", "bo"]
    pager.wait(seconds=1)
    incident.refresh_from_db()
    assert (incident.status, incident.acknowledged_by) == (Status.OPEN, None)
    assert pager.paged(incident) == ["ana", "bo", "bo"]
    entry = incident.timeline.get(kind=Kind.ACKNOWLEDGEMENT_EXPIRED)
    assert timeline.sentence(entry) == "bo’s acknowledgement ran out after 30 minutes: paging goes on"
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo", "bo", "cy"]


def test_whoever_acknowledged_is_paged_again_with_those_who_are_on_call_now(pager):
    schedule = ScheduleFactory(team=pager.team, on_call=[pager.person("ana")])
    pager.policy([schedule], ["cy"], acknowledge_timeout_minutes=30)
    incident = pager.fire()
    acknowledge(pager, incident, "dee")
    pager.wait(minutes=20)
    OverrideFactory(schedule=schedule, user=pager.person("bo"))
    pager.wait(minutes=10)
    assert pager.paged(incident) == ["ana", "bo", "dee"]
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo", "dee", "cy"]


def test_an_acknowledgement_after_the_end_runs_out_too(pager):
    pager.policy(["ana"], acknowledge_timeout_minutes=30)
    incident = pager.fire()
    pager.wait(minutes=5)
    acknowledge(pager, incident, "ana")
    pager.wait(minutes=30)
    assert pager.paged(incident) == ["ana", "ana"]


@pytest.mark.parametrize(
    "then",
    [
        lambda i, pager: lifecycle.resolve(incident_id=i.pk, actor=SYSTEM),
        lambda i, pager: lifecycle.snooze(
            incident_id=i.pk, actor=SYSTEM, until=pager.clock.now.replace(year=2027)
        ),
    ],
)
def test_what_is_over_or_snoozed_runs_out_no_more(pager, then):
    pager.policy(["ana"], acknowledge_timeout_minutes=30)
    incident = pager.fire()
    acknowledge(pager, incident, "ana")
    pager.clock.advance(minutes=1)
    then(incident, pager)
    assert not EscalationRun.objects.filter(resumes_at__isnull=False).exists()
    pager.wait(hours=3)
    assert pager.paged(incident) == ["ana"]


def test_each_acknowledgement_has_its_whole_time(pager):
    pager.policy(["ana"], acknowledge_timeout_minutes=30)
    incident = pager.fire()
    acknowledge(pager, incident, "ana")
    pager.wait(minutes=20)
    lifecycle.unacknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.wait(minutes=1)
    acknowledge(pager, incident, "ana")
    pager.wait(minutes=29)
    incident.refresh_from_db()
    assert incident.status == Status.ACKNOWLEDGED
    pager.wait(minutes=1)
    incident.refresh_from_db()
    assert incident.status == Status.OPEN


def test_without_a_time_out_an_acknowledgement_lasts(pager):
    pager.policy(["ana"])
    incident = pager.fire()
    acknowledge(pager, incident, "ana")
    pager.wait(days=30)
    assert pager.paged(incident) == ["ana"]


def test_nothing_runs_out_asks_one_query(pager, django_assert_num_queries):
    with django_assert_num_queries(3):  # savepoint, the question, release
        assert changes.resume() == 0


def rules(pager):
    """Low pages ana, then bo; critical pages cy, then dee."""
    low = PolicyFactory(team=pager.team, name="low", levels=[[pager.person("ana")], [pager.person("bo")]])
    high = PolicyFactory(team=pager.team, name="high", levels=[[pager.person("cy")], [pager.person("dee")]])
    RoutingRuleFactory(team=pager.team, severities=[Severity.CRITICAL], policy=high)
    RoutingRuleFactory(team=pager.team, policy=low)
    return low, high


def worsen(incident, severity):
    lifecycle.change_severity(incident_id=incident.pk, severity=severity, actor=SYSTEM)


def test_a_worse_severity_chooses_the_policy_anew(pager):
    rules(pager)
    incident = pager.fire(severity=Severity.LOW)
    pager.clock.advance(seconds=1)
    worsen(incident, Severity.CRITICAL)
    pager.work()
    assert pager.paged(incident) == ["ana", "cy"]
    assert (
        timeline.sentence(incident.timeline.get(kind=Kind.REROUTED))
        == "It got worse: high is in charge instead of low"
    )
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "cy", "dee"]
    assert sorted(incident.escalation_runs.values_list("status", "end_reason")) == [
        (RunStatus.RUNNING, ""),
        (RunStatus.STOPPED, "rerouted"),
    ]


def test_an_alert_that_makes_it_worse_does_so_too(pager):
    rules(pager)
    incident = pager.fire(severity=Severity.LOW)
    pager.clock.advance(seconds=1)
    assert pager.fire("second", name="disk", severity=Severity.CRITICAL) == incident
    assert pager.paged(incident) == ["ana", "cy"]


def test_whoever_was_paged_stays_paged(pager):
    rules(pager)
    ana = pager.person("ana")
    method = ContactMethodFactory(user=ana)
    NotificationRuleFactory(user=ana, contact_method=method, urgency="low", delay_minutes=2)
    incident = pager.fire(severity=Severity.LOW)
    pager.clock.advance(seconds=1)
    worsen(incident, Severity.CRITICAL)
    pager.wait(minutes=2)
    assert Notification.objects.get(user=ana).status == NotificationStatus.SENT


def test_a_better_severity_and_the_same_policy_change_nothing_but_the_turn(pager):
    low, _ = rules(pager)
    incident = pager.fire(severity=Severity.MEDIUM)
    pager.clock.advance(seconds=1)
    for severity in (Severity.HIGH, Severity.LOW):
        worsen(incident, severity)
        run = incident.escalation_runs.get()
        assert (run.policy, run.step, run.priority) == (low, 1, severity.rank)


def test_what_a_person_asked_for_is_not_rerouted(pager):
    low, _ = rules(pager)
    incident = pager.fire(severity=Severity.LOW)
    pager.clock.advance(seconds=1)
    engine.reassign(incident_id=incident.pk, actor=pager.acting("ana"), policy=low)
    worsen(incident, Severity.CRITICAL)
    pager.work()
    assert incident.escalation_runs.get(status=RunStatus.RUNNING).policy == low


def test_an_answered_incident_is_not_paged_for_being_worse(pager):
    rules(pager)
    incident = pager.fire(severity=Severity.LOW)
    acknowledge(pager, incident, "ana")
    pager.clock.advance(seconds=1)
    worsen(incident, Severity.CRITICAL)
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana"]


def test_an_incident_that_nobody_was_paged_for_gets_its_policy_when_it_is_worse(pager):
    _, high = rules(pager)
    RoutingRuleFactory._meta.model.objects.exclude(policy=high).delete()
    incident = pager.fire(severity=Severity.LOW)
    assert pager.paged(incident) == []
    worsen(incident, Severity.CRITICAL)
    pager.work()
    assert pager.paged(incident) == ["cy"]
