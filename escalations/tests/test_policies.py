"""What a policy's steps can be: whom they page, how long they wait, and what happens at the end."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from escalations import engine
from escalations.enums import TargetKind
from escalations.models import EscalationRun, RoundRobinTurn
from escalations.tests.factories import StepFactory
from incidents import lifecycle, timeline
from incidents.enums import Kind
from incidents.models import Incident
from notifications.enums import NotificationStatus, Purpose
from notifications.models import Notification
from teams import oncall
from teams.enums import Role
from teams.models import Participant
from teams.tests.factories import LayerFactory, MembershipFactory, ScheduleFactory, UserFactory


def people(pager, *names):
    return [pager.person(name) for name in names]


def round_robin(pager, *names):
    return TargetKind.ROUND_ROBIN, ScheduleFactory(team=pager.team, on_call=people(pager, *names))


def fires(pager, count):
    pager.integration.grouping = "none"
    return [pager.paged(pager.fire(f"{n} of {Incident.objects.count()}")) for n in range(count)]


def test_a_schedules_people_are_paged_in_turn(pager):
    pager.policy([round_robin(pager, "ana", "bo", "cy")])
    assert fires(pager, 4) == [["ana"], ["bo"], ["cy"], ["ana"]]


def test_each_round_pages_the_next_one(pager):
    pager.policy([round_robin(pager, "ana", "bo", "cy")], repeat=2)
    incident = pager.fire()
    pager.wait(minutes=5)
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo", "cy"]


def test_turns_survive_an_edit_of_the_policy_and_of_the_schedule(pager):
    kind, schedule = round_robin(pager, "ana", "bo", "cy")
    policy = pager.policy([(kind, schedule)])
    assert fires(pager, 2) == [["ana"], ["bo"]]
    policy.steps.all().delete()
    StepFactory(policy=policy, targets=[(kind, schedule)])  # as an edit does
    assert fires(pager, 1) == [["cy"]]
    assert fires(pager, 2) == [["ana"], ["bo"]]
    Participant.objects.get(user__name="bo").delete()
    assert fires(pager, 2) == [["cy"], ["ana"]]


def test_two_steps_have_turns_of_their_own(pager):
    target = round_robin(pager, "ana", "bo")
    pager.policy([target], [target], delay=timedelta(0))
    assert fires(pager, 2) == [["ana", "ana"], ["bo", "bo"]]


def test_turns_that_nobody_can_take(pager):
    kind, schedule = round_robin(pager, "ana", "bo")
    bo = pager.person("bo")
    bo.is_active = False
    bo.save()
    pager.policy([(kind, schedule), (kind, ScheduleFactory(team=pager.team))])
    assert fires(pager, 2) == [["ana"], ["ana"]]


def test_looking_ahead_takes_no_turn(pager):
    target = round_robin(pager, "ana", "bo", "cy")
    pager.policy([target], repeat=5)
    incident = pager.fire()
    for _ in range(2):
        assert [p.name for step in engine.upcoming(incident) for p in step.people] == [
            "bo", "cy", "ana", "bo", "cy",
        ]  # fmt: skip
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo"]


def test_participants_are_named_once_by_layer_and_place(db):
    ana, bo, cy = (UserFactory(name=name) for name in ("ana", "bo", "cy"))
    schedule = ScheduleFactory(on_call=[bo, ana])
    LayerFactory(schedule=schedule, participants=[ana, cy, bo])
    assert oncall.participants_of(schedule) == [bo, ana, cy]


@pytest.mark.django_db(transaction=True)
def test_turns_are_fair_when_many_tick_at_once(pager, monkeypatch):
    target = round_robin(pager, "ana", "bo", "cy")
    pager.policy([target], repeat=1)
    fires(pager, 12)
    RoundRobinTurn.objects.all().delete()
    Notification.objects.all().delete()
    EscalationRun.objects.update(step=0, loop=1, due_at=pager.clock.now)
    monkeypatch.setattr(engine, "BATCH", 2)
    failures = []

    def work():
        try:
            engine.tick()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.tick()
    assert failures == []
    paged = Notification.objects.filter(channel="in_app").values_list("user__name", flat=True)
    assert sorted(paged) == ["ana"] * 4 + ["bo"] * 4 + ["cy"] * 4


def test_managers_are_a_target(pager):
    ana, bo, cy = people(pager, "ana", "bo", "cy")
    for user, role in ((ana, Role.MANAGER), (bo, Role.RESPONDER), (cy, Role.MANAGER)):
        MembershipFactory(team=pager.team, user=user, role=role)
    pager.policy([(TargetKind.MANAGER, pager.team)])
    assert pager.paged(pager.fire()) == ["ana", "cy"]


def test_a_step_without_a_wait_is_followed_at_once(pager):
    pager.policy(["ana"], ["bo"], ["cy"], delay=timedelta(0))
    incident = pager.fire()
    assert pager.paged(incident) == ["ana", "bo", "cy"]
    assert pager.story(incident)[-1] == Kind.STEP_REACHED  # and then somebody has a minute to answer
    pager.wait(seconds=59)
    assert pager.story(incident)[-1] == Kind.STEP_REACHED
    pager.wait(seconds=1)
    assert pager.story(incident)[-1] == Kind.ESCALATION_EXHAUSTED


def test_rounds_without_a_wait_begin_a_minute_apart(pager):
    pager.policy(["ana"], [ScheduleFactory(team=pager.team)], delay=timedelta(0), repeat=2)
    incident = pager.fire()
    assert pager.paged(incident) == ["ana"]
    assert [(step.at - pager.clock.now).total_seconds() for step in engine.upcoming(incident)] == [
        60, 60, 120, 120,
    ]  # fmt: skip
    pager.wait(seconds=60)
    assert pager.paged(incident) == ["ana", "ana"]


def test_delays_are_seconds(pager):
    pager.policy(["ana"], ["bo"], delay=timedelta(seconds=20))
    incident = pager.fire()
    pager.wait(seconds=19)
    assert pager.paged(incident) == ["ana"]
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana", "bo"]


def notices(incident):
    found = Notification.objects.filter(incident=incident, purpose=Purpose.NOTICE)
    return sorted({(n.user.name, n.status) for n in found})


def test_the_end_is_told_to_the_managers_once(pager, mailoutbox):
    for name, role in (("mara", Role.MANAGER), ("ana", Role.RESPONDER)):
        MembershipFactory(team=pager.team, user=pager.person(name), role=role)
    pager.policy(["ana"])
    incident = pager.fire()
    mailoutbox.clear()
    pager.wait(minutes=5)
    assert notices(incident) == [("mara", NotificationStatus.SENT)]
    [mail] = mailoutbox
    assert mail.subject.startswith("Nobody answered: [CRITICAL]")
    assert mail.body.startswith(
        f"Nobody has answered, and nobody else will be paged. You are told as a manager of {pager.team}."
    )
    assert "next level" not in mail.body
    entry = incident.timeline.get(kind=Kind.ESCALATION_EXHAUSTED)
    assert timeline.sentence(entry).endswith("nobody else will be paged. mara is told so")
    assert pager.paged(incident) == ["ana"]

    engine.escalate_now(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.work()
    pager.wait(minutes=5)
    assert Notification.objects.filter(purpose=Purpose.NOTICE, channel="email").count() == 2


def test_a_notice_is_dropped_when_somebody_has_answered(pager):
    MembershipFactory(team=pager.team, user=pager.person("mara"), role=Role.MANAGER)
    pager.policy(["ana"])
    incident = pager.fire()
    pager.clock.advance(minutes=5)
    engine.tick()
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.work()
    assert notices(incident) == [("mara", NotificationStatus.CANCELLED)]
