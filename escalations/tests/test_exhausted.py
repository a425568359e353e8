"""When nobody of a step can be reached, the next one comes early; the rounds keep their pace."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from alerts import maintenance
from escalations import engine
from escalations.enums import RunStatus, WaitReason
from escalations.models import PagingSettings
from escalations.tests.factories import PolicyFactory, RunFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity
from incidents.timeline import SYSTEM
from notifications import fallback
from notifications.enums import Channel, Hold, NotificationStatus
from notifications.exceptions import DeliveryError
from notifications.models import Notification
from notifications.signals import notifications_exhausted
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from notifications.tests.recorder import Recorder
from notifications.transports import TRANSPORTS
from teams.tests.factories import UserFactory

NO = DeliveryError("no such user", permanent=True)


@pytest.fixture
def provider(monkeypatch):
    recorder = Recorder()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    return recorder


def by_email(pager, *names):
    for name in names:
        ContactMethodFactory(user=pager.person(name), address=f"{name}@example.org")


def test_the_next_step_is_paged_at_once_when_no_method_works(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = NO
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    pager.work()
    assert pager.paged(incident) == ["bo"]
    assert Kind.NOBODY_TO_PAGE in pager.story(incident)


def test_an_unreliable_provider_is_given_its_five_attempts_first(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = DeliveryError("busy")
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    pager.wait(seconds=1)
    assert pager.paged(incident) == []
    for _ in range(40):
        pager.wait(seconds=1)
    assert pager.paged(incident) == ["bo"]


def test_a_step_with_somebody_who_was_reached_waits_its_time(pager, provider):
    by_email(pager, "ana", "bo", "cy")
    provider.faulty["ana@example.org"] = NO
    pager.policy(["ana", "bo"], ["cy"])
    incident = pager.fire()
    pager.wait(minutes=4)
    assert pager.paged(incident) == ["bo"]
    pager.wait(minutes=1)
    assert pager.paged(incident) == ["bo", "cy"]


def test_a_providers_bad_minutes_do_not_use_up_the_rounds(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty = {"ana@example.org": NO, "bo@example.org": NO}
    pager.policy(["ana"], ["bo"], repeat=2)
    incident = pager.fire()
    for _ in range(10):
        pager.wait(seconds=1)
    run = incident.escalation_runs.get()
    assert (run.status, run.loop, run.step) == (RunStatus.RUNNING, 0, 2)
    provider.faulty = {}
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana"]


def test_an_answer_in_between_stops_it(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = DeliveryError("busy")
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("bo"))
    for _ in range(40):
        pager.wait(seconds=1)
    assert pager.paged(incident) == []


def maintenance_from_now(pager, minutes):
    now = pager.clock.now
    maintenance.add_window(
        team=pager.team, title="Upgrade", starts_at=now, ends_at=now + timedelta(minutes=minutes), by=None
    )


def test_nothing_comes_early_in_a_maintenance_window(pager, provider):
    """It begins after ana was paged, and before her page fails for good."""
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = DeliveryError("busy")
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    maintenance_from_now(pager, 30)
    for _ in range(60):
        pager.wait(seconds=1)
    assert (pager.paged(incident), pager.story(incident)[-1]) == ([], Kind.PAGING_WAITS)
    assert incident.escalation_runs.get().due_at == pager.clock.now + timedelta(minutes=29)
    pager.wait(minutes=29)
    assert pager.paged(incident) == ["bo"]


def test_a_run_that_waits_is_not_hurried(pager, provider):
    by_email(pager, "ana", "bo")
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    maintenance_from_now(pager, 30)
    pager.wait(minutes=5)
    run = incident.escalation_runs.get()
    assert run.waits_for == WaitReason.MAINTENANCE
    assert not engine.hurry(run_id=run.pk, loop=0, step=0, now=pager.clock.now)
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana"]
    assert pager.story(incident).count(Kind.PAGING_WAITS) == 1


def test_nothing_comes_early_outside_the_working_hours(pager, provider):
    """It is Monday noon; the team works until a second past."""
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = DeliveryError("busy")
    pager.policy(["ana"], ["bo"])
    hours = {"from": "09:00", "until": "12:01"}
    PagingSettings.objects.update_or_create(
        team=pager.team,
        defaults={
            "low_urgency_waits": True,
            "working_hours": dict.fromkeys(("mon", "tue"), hours),
            "time_zone": "UTC",
        },
    )
    pager.wait(seconds=58)
    incident = pager.fire(severity=Severity.LOW)
    for _ in range(60):
        pager.wait(seconds=1)
    assert Notification.objects.get(status=NotificationStatus.DEAD).user.name == "ana"
    assert (pager.paged(incident), pager.story(incident)[-1]) == ([], Kind.PAGING_WAITS)
    pager.clock.set(datetime(2026, 3, 3, 9, tzinfo=UTC))
    pager.work()
    assert pager.paged(incident) == ["bo"]


@pytest.mark.django_db(transaction=True)
def test_an_answer_during_a_fallback_comes_after_it(provider):
    """Both want the page and the run: without one order for both they would end each other."""
    now = timezone.now()
    policy = PolicyFactory(levels=[[UserFactory()], [UserFactory()]])
    run = RunFactory(policy=policy, due_at=now + timedelta(minutes=5), step=1)
    page = NotificationFactory(
        incident=run.incident, run_id=run.pk, hold=Hold.PAUSE, needs_fallback=True, fell_back_at=None
    )
    has_the_run, faults = threading.Event(), []

    def linger(**kwargs):
        has_the_run.set()
        time.sleep(0.5)

    def fall_back():
        try:
            fallback.fall_back(page.pk)
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    notifications_exhausted.connect(linger)
    try:
        falling_back = threading.Thread(target=fall_back)
        falling_back.start()
        assert has_the_run.wait(30)
        lifecycle.acknowledge(incident_id=run.incident.pk, actor=SYSTEM)
        falling_back.join(30)
    finally:
        notifications_exhausted.disconnect(linger)
    run.refresh_from_db()
    page.refresh_from_db()
    assert (faults, run.status, page.status) == ([], RunStatus.STOPPED, NotificationStatus.CANCELLED)
