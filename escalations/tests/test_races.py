"""Answers and steps at the same instant, in real transactions: what is answered is not paged."""

import random
import threading
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from alerts import maintenance
from escalations import changes, engine
from escalations.enums import RunStatus
from escalations.models import EscalationRun
from escalations.tests.factories import PolicyFactory, RunFactory
from incidents import lifecycle, merging
from incidents.enums import Status
from incidents.models import Incident
from incidents.timeline import SYSTEM
from notifications import outbox
from notifications.enums import NotificationStatus
from notifications.models import Notification
from teams.tests.factories import ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = 24


def at_once(*works):
    """Run them in threads that begin together; raises the first failure of any."""
    failures = []
    gate = threading.Barrier(len(works))

    def run(work):
        try:
            gate.wait()
            work()
        except Exception as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.fixture
def incidents():
    """Open incidents of one service, whose first step is due."""
    service = ServiceFactory()
    policy = PolicyFactory(team=service.team, levels=[[UserFactory()], [UserFactory()]])
    return [RunFactory(incident__service=service, policy=policy).incident for _ in range(COUNT)]


def acknowledge(incidents):
    for incident in incidents:
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)


def resolve(incidents):
    for incident in incidents:
        lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)


def merge(incidents):
    target = Incident.objects.exclude(pk__in=[incident.pk for incident in incidents]).first()
    for incident in incidents:
        merging.merge(source_ids=[incident.pk], target_id=target.pk, actor=SYSTEM)


def snooze(incidents):
    until = timezone.now().replace(year=2090)
    for incident in incidents:
        lifecycle.snooze(incident_id=incident.pk, until=until, actor=SYSTEM)


def deliver_all():
    for pk in Notification.objects.values_list("pk", flat=True):
        outbox.deliver(pk)


@pytest.mark.parametrize("answer", [acknowledge, resolve, merge, snooze])
def test_nothing_is_handed_over_after_the_answer(incidents, answer, monkeypatch):
    """Whatever the tick decided before or while an answer was written: delivery finds that nobody waits for it."""
    monkeypatch.setattr(engine, "BATCH", 3)
    answered = incidents[1:]
    random.Random(1).shuffle(answered)
    at_once(partial(answer, answered), engine.tick, engine.tick)
    deliver_all()
    open_ones = Incident.objects.filter(status=Status.OPEN)
    assert list(open_ones) == incidents[:1]
    of_answered = Notification.objects.filter(incident__in=answered)
    assert set(of_answered.values_list("status", flat=True)) <= {NotificationStatus.CANCELLED}
    assert not of_answered.filter(attempts__isnull=False).exists()
    assert not EscalationRun.objects.filter(incident__in=answered, status=RunStatus.RUNNING).exists()
    sent = Notification.objects.filter(incident=incidents[0])
    assert set(sent.values_list("status", flat=True)) == {NotificationStatus.SENT}


@pytest.mark.parametrize("answer", [acknowledge, resolve, merge])
def test_deliveries_that_are_under_way_are_the_last(incidents, answer):
    """While pages go out, answers come in: no attempt begins after its incident's answer was committed."""
    engine.tick()
    pages = list(Notification.objects.values_list("pk", flat=True))
    answered = {}
    target = incidents[-1]

    def answer_all():
        for incident in incidents[:-1]:
            if answer is merge:
                merging.merge(source_ids=[incident.pk], target_id=target.pk, actor=SYSTEM)
            else:
                answer([incident])
            answered[incident.pk] = timezone.now()

    def deliver(some):
        for pk in some:
            outbox.deliver(pk)

    at_once(answer_all, partial(deliver, pages[::2]), partial(deliver, pages[1::2]))
    late = [
        page
        for page in Notification.objects.exclude(incident=target).prefetch_related("attempts")
        for attempt in page.attempts.all()
        if attempt.started_at > answered[page.incident_id]
    ]
    assert late == []
    unfinished = Notification.objects.filter(
        status__in=[NotificationStatus.PENDING, NotificationStatus.SENDING]
    )
    assert not unfinished.exists()


def test_ticks_at_once_page_each_step_once(incidents, monkeypatch):
    monkeypatch.setattr(engine, "BATCH", 3)
    at_once(*[engine.tick] * 4)
    engine.tick()
    assert Notification.objects.count() == COUNT * 2  # in the app and by email
    assert set(EscalationRun.objects.values_list("step", flat=True)) == {1}


def test_escalating_by_hand_while_the_step_is_carried_out_loses_nothing(incidents):
    run = EscalationRun.objects.get(incident=incidents[0])
    at_once(
        engine.tick,
        partial(engine.escalate_now, incident_id=incidents[0].pk, actor=SYSTEM),
        engine.tick,
    )
    engine.tick()
    steps = set(Notification.objects.filter(run_id=run.pk).values_list("step", flat=True))
    run.refresh_from_db()
    assert run.step == max(steps) + 1


def test_two_workers_resume_an_incident_once(incidents):
    for incident in incidents:
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    EscalationRun.objects.update(resumes_at=timezone.now())
    at_once(*[changes.resume] * 3, partial(resolve, incidents[:8]))
    while changes.resume():
        pass
    running = EscalationRun.objects.filter(status=RunStatus.RUNNING)
    assert set(running.values_list("incident_id", flat=True)) == {i.pk for i in incidents[8:]}
    assert running.count() == COUNT - 8


def test_no_run_waits_for_a_window_that_was_cancelled_meanwhile(incidents, monkeypatch):
    """Whether the tick sees the window or its end, in the end everybody is paged."""
    monkeypatch.setattr(engine, "BATCH", 3)
    team = incidents[0].service.team
    now = timezone.now()
    for _ in range(5):
        window = maintenance.add_window(
            team=team, title="x", starts_at=now, ends_at=now.replace(year=2090), by=None
        )
        EscalationRun.objects.update(step=0, due_at=now, waits_for="", waits_until=None)
        at_once(engine.tick, engine.tick, partial(maintenance.cancel_window, window.pk))
        engine.tick()
        assert not EscalationRun.objects.exclude(waits_for="").exists()
