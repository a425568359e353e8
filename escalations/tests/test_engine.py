"""The engine's stories: who is paged, when, and what stops it."""

from datetime import timedelta

import pytest

from escalations import engine
from escalations.enums import RunStatus
from escalations.exceptions import NothingToEscalate, ReassignToOne
from escalations.models import EscalationRun
from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.exceptions import InvalidTransition
from incidents.models import TimelineEntry
from notifications.enums import Channel, NotificationStatus
from notifications.models import ContactMethod, Notification
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory
from teams.enums import Role
from teams.tests.factories import MembershipFactory, OverrideFactory, ScheduleFactory


def test_second_level_is_paged_when_nobody_answers(pager):
    pager.policy(["ana"], ["bo"], delay=timedelta(minutes=30))
    incident = pager.fire()
    assert pager.paged(incident) == ["ana"]
    pager.wait(minutes=29, seconds=59)
    assert pager.paged(incident) == ["ana"]
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana", "bo"]


@pytest.mark.parametrize("answer", [lifecycle.acknowledge, lifecycle.resolve])
def test_an_answer_stops_the_paging(pager, answer):
    pager.policy(["ana"], ["bo"], repeat=3)
    incident = pager.fire()
    answer(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.wait(hours=5)
    assert pager.paged(incident) == ["ana"]
    assert not EscalationRun.objects.filter(due_at__isnull=False).exists()


def test_policy_is_repeated_and_then_ends_loudly(pager):
    pager.policy(["ana"], ["bo"], repeat=1)
    incident = pager.fire()
    for _ in range(10):
        pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo", "ana", "bo"]
    assert pager.story(incident)[-1] == Kind.ESCALATION_EXHAUSTED
    assert incident.escalation_runs.get().status == RunStatus.EXHAUSTED


def test_everybody_of_a_level_is_paged_once(pager):
    ana, bo, cy = (pager.person(name) for name in ("ana", "bo", "cy"))
    MembershipFactory(team=pager.team, user=ana)
    MembershipFactory(team=pager.team, user=bo)
    MembershipFactory(team=pager.team, user=cy, role=Role.OBSERVER)
    schedule = ScheduleFactory(team=pager.team, on_call=[ana])
    pager.policy([ana, schedule, pager.team])
    assert pager.paged(pager.fire()) == ["ana", "bo"]


def test_who_is_on_call_is_looked_up_when_the_step_is_reached(pager):
    schedule = ScheduleFactory(team=pager.team, on_call=[pager.person("ana")])
    pager.policy([schedule], [schedule], delay=timedelta(minutes=30))
    incident = pager.fire()
    pager.wait(minutes=20)
    OverrideFactory(schedule=schedule, user=pager.person("bo"))
    pager.wait(minutes=10)
    assert pager.paged(incident) == ["ana", "bo"]


def test_step_that_reaches_nobody_is_told_and_passed_over_at_once(pager):
    pager.policy([ScheduleFactory(team=pager.team)], ["bo"])
    incident = pager.fire()
    assert pager.paged(incident) == ["bo"]
    assert Kind.NOBODY_TO_PAGE in pager.story(incident)


def test_policy_that_reaches_nobody_ends(pager):
    pager.policy([], [ScheduleFactory(team=pager.team)], repeat=3)
    incident = pager.fire()
    assert pager.story(incident)[-1] == Kind.ESCALATION_EXHAUSTED
    assert incident.escalation_runs.get().loop == 3


def test_incident_that_no_rule_takes_says_so(pager):
    assert pager.story(pager.fire()) == [Kind.OPENED, Kind.NOBODY_TO_PAGE]


def test_editing_a_policy_does_not_touch_a_running_escalation(pager):
    policy = pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    policy.steps.all().delete()
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo"]


def test_inactive_person_is_not_paged(pager):
    pager.policy(["ana"], ["bo"])
    ana = pager.person("ana")
    ana.is_active = False
    ana.save()
    assert pager.paged(pager.fire()) == ["bo"]


def test_reopened_incident_starts_from_the_first_step(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    pager.wait(minutes=5)
    lifecycle.resolve(incident_id=incident.pk, actor=pager.acting("bo"))
    lifecycle.reopen(incident_id=incident.pk, actor=pager.acting("bo"))
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana", "bo", "ana"]


def test_snoozed_incident_is_silent_and_then_pages_again(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    until = pager.clock.now + timedelta(hours=2)
    lifecycle.snooze(incident_id=incident.pk, until=until, actor=pager.acting("ana"))
    pager.wait(hours=1, minutes=59)
    assert pager.paged(incident) == ["ana"]
    pager.wait(minutes=1)
    assert pager.paged(incident) == ["ana", "ana"]
    incident.refresh_from_db()
    assert incident.status == Status.OPEN


def test_escalate_now_pages_the_next_level_at_once(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    engine.escalate_now(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.work()
    assert pager.paged(incident) == ["ana", "bo"]


def test_escalating_an_acknowledged_incident_goes_on_where_it_was(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    engine.escalate_now(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.work()
    incident.refresh_from_db()
    assert (pager.paged(incident), incident.status) == (["ana", "bo"], Status.OPEN)


def test_escalating_after_the_end_starts_over(pager):
    pager.policy(["ana"])
    incident = pager.fire()
    pager.wait(minutes=5)
    engine.escalate_now(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.work()
    assert pager.paged(incident) == ["ana", "ana"]


def test_nothing_to_escalate(pager):
    incident = pager.fire()
    with pytest.raises(NothingToEscalate, match="No escalation policy"):
        engine.escalate_now(incident_id=incident.pk, actor=pager.acting("ana"))
    lifecycle.resolve(incident_id=incident.pk, actor=pager.acting("ana"))
    with pytest.raises(NothingToEscalate, match="is resolved"):
        engine.escalate_now(incident_id=incident.pk, actor=pager.acting("ana"))


def test_reassigned_person_is_paged_at_once_and_then_the_policy_goes_on(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    engine.reassign(incident_id=incident.pk, actor=pager.acting("ana"), user=pager.person("cy"))
    pager.work()
    assert pager.paged(incident) == ["ana", "cy"]
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "cy", "ana"]
    incident.refresh_from_db()
    assert incident.assigned_to == pager.person("cy")


def test_reassign_to_another_policy(pager):
    pager.policy(["ana"])
    other = pager.policy(["cy"])
    incident = pager.fire()
    engine.reassign(incident_id=incident.pk, actor=pager.acting("ana"), policy=other)
    pager.work()
    assert pager.paged(incident) == ["ana", "cy"]


def test_reassign_wants_one_target_and_an_unresolved_incident(pager):
    policy = pager.policy(["ana"])
    incident = pager.fire()
    ana = pager.person("ana")
    for wrong in ({}, {"user": ana, "policy": policy}):
        with pytest.raises(ReassignToOne):
            engine.reassign(incident_id=incident.pk, actor=pager.acting("ana"), **wrong)
    lifecycle.resolve(incident_id=incident.pk, actor=pager.acting("ana"))
    with pytest.raises(InvalidTransition):
        engine.reassign(incident_id=incident.pk, actor=pager.acting("ana"), user=ana)


def test_upcoming_tells_what_will_happen(pager):
    pager.policy(["ana"], ["bo", "cy"], repeat=1)
    incident = pager.fire()
    told = [
        ([p.name for p in u.people], u.loop, (u.at - pager.clock.now).total_seconds())
        for u in engine.upcoming(incident)
    ]
    assert told == [(["bo", "cy"], 0, 300), (["ana"], 1, 600), (["bo", "cy"], 1, 900)]
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    assert engine.upcoming(incident) == []


def test_personal_rules_decide_how_and_when(pager):
    pager.policy(["ana"], delay=timedelta(minutes=30))
    ana = pager.person("ana")
    in_app = ContactMethodFactory(user=ana, channel=Channel.IN_APP)
    email = ContactMethodFactory(user=ana)
    NotificationRuleFactory(user=ana, contact_method=in_app)
    NotificationRuleFactory(user=ana, contact_method=email, delay_minutes=2)
    incident = pager.fire()

    def channels():
        sent = incident.notifications.filter(status=NotificationStatus.SENT).order_by("sent_at")
        return list(sent.values_list("channel", flat=True))

    assert channels() == [Channel.IN_APP]
    pager.wait(minutes=2)
    assert channels() == [Channel.IN_APP, Channel.EMAIL]


def test_answer_drops_the_pages_that_wait(pager):
    pager.policy(["ana"], delay=timedelta(minutes=30))
    ana = pager.person("ana")
    NotificationRuleFactory(user=ana, contact_method=ContactMethodFactory(user=ana), delay_minutes=2)
    incident = pager.fire()
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.wait(minutes=10)
    assert incident.notifications.get().status == NotificationStatus.CANCELLED


def test_person_who_switched_everything_off_is_told_about(pager):
    pager.policy(["ana"], ["bo"])
    ContactMethodFactory(user=pager.person("ana"), is_enabled=False)
    incident = pager.fire()
    assert Kind.NOBODY_TO_PAGE in pager.story(incident)
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["bo"]


def test_person_who_chose_nothing_gets_app_and_email(pager):
    pager.policy(["ana"])
    incident = pager.fire()
    assert set(incident.notifications.values_list("channel", "status")) == {
        (Channel.IN_APP, NotificationStatus.SENT),
        (Channel.EMAIL, NotificationStatus.SENT),
    }
    assert ContactMethod.objects.filter(user__name="ana").count() == 2


def test_criticals_go_first(pager, monkeypatch):
    pager.policy(["ana"], ["bo"])
    pager.integration.grouping = "none"
    low, high, raised, critical = (
        pager.fire(str(n), severity=severity)
        for n, severity in enumerate([Severity.LOW, Severity.HIGH, Severity.LOW, Severity.CRITICAL])
    )
    pager.fire("2", severity=Severity.CRITICAL)  # the third alert gets worse
    monkeypatch.setattr(engine, "BATCH", 1)
    pager.clock.advance(minutes=5)
    engine.tick()
    steps = TimelineEntry.objects.filter(kind=Kind.STEP_REACHED, data__step=1).order_by("pk")
    order = [entry.incident for entry in steps]
    assert set(order[:2]) == {raised, critical}
    assert order[2:] == [high, low]


def test_faulty_run_holds_up_no_other(pager):
    pager.policy(["ana"], ["bo"])
    bad, good = pager.fire("bad"), pager.fire("good")
    EscalationRun.objects.filter(incident=bad).update(
        snapshot={"policy": "?", "repeat": 0, "steps": [{"targets": []}, {"targets": None}]}, step=1
    )
    pager.wait(minutes=5)
    assert pager.paged(good) == ["ana", "bo"]
    assert EscalationRun.objects.get(incident=bad).due_at == pager.clock.now + engine.FAULT_PAUSE


def test_repeated_ticks_do_not_page_twice(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    run = incident.escalation_runs.get()
    due_at = run.due_at
    for _ in range(3):
        # As if a worker had died after its commit and another carried the same step out again.
        EscalationRun.objects.filter(pk=run.pk).update(step=0, due_at=pager.clock.now)
        pager.work()
    assert pager.paged(incident) == ["ana"]
    assert Notification.objects.filter(incident=incident).count() == 2
    run.refresh_from_db()
    assert run.due_at == due_at


def test_clock_that_jumps_forward_pages_each_step_once(pager):
    pager.policy(["ana"], ["bo"], ["cy"])
    incident = pager.fire()
    pager.wait(days=3)
    assert pager.paged(incident) == ["ana", "bo"]
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo", "cy"]


def test_idle_tick_asks_one_query(pager, django_assert_num_queries):
    with django_assert_num_queries(3):  # savepoint, the question, release
        assert engine.tick() == 0
