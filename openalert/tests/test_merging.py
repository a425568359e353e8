"""Merging, all apps together: what becomes of alerts, pages, escalations and open pages, and of all that is under way."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts import intake, keys
from alerts.enums import EventStatus, Grouping
from alerts.events import AlertEvent
from alerts.models import Alert
from alerts.results import Outcome
from alerts.tests.factories import AlertFactory, IntegrationFactory
from escalations.models import EscalationRun
from escalations.tests.pager import Pager
from incidents import lifecycle, merging
from incidents.enums import Kind, Severity, Status
from incidents.exceptions import IncidentIsOver, IncidentMerged
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from notifications.enums import NotificationStatus
from notifications.models import Notification
from notifications.tests.factories import NotificationFactory

FIRING, RESOLVED, ACKNOWLEDGED = EventStatus.FIRING, EventStatus.RESOLVED, EventStatus.ACKNOWLEDGED


def merge(source, target):
    merging.merge(source_ids=[source.pk], target_id=target.pk, actor=SYSTEM)


@pytest.fixture
def pager(clock, db):
    return Pager(clock)


def event(key, status=FIRING, severity=Severity.HIGH, name=""):
    return AlertEvent(dedup_key=key, status=status, title=f"Alert {key}", name=name or key, severity=severity)


def test_its_alerts_and_what_they_send_go_on_in_the_target(pager):
    source, target = pager.fire("disk"), pager.fire("slow", severity=Severity.LOW)
    merge(source, target)
    assert set(target.alerts.values_list("dedup_key", "status", "is_current")) == {
        ("disk", "firing", True),
        ("slow", "firing", True),
    }
    assert not source.alerts.exists()
    assert pager.fire("disk", severity=Severity.LOW) == target
    pager.end("slow")
    target.refresh_from_db()
    assert (target.status, target.severity) == (Status.OPEN, Severity.CRITICAL)
    pager.end("disk")
    target.refresh_from_db()
    assert target.status == Status.RESOLVED
    assert list(source.timeline.values_list("kind", flat=True))[-1] == Kind.MERGED_INTO


def test_a_new_alert_of_its_group_goes_to_the_target(pager):
    source, target = pager.fire("a", name="Disk"), pager.fire("b", name="Slow")
    merge(source, target)
    assert pager.fire("c", name="Disk") == target
    assert pager.fire("d", name="Other") not in (source, target)


def test_its_escalation_stops_and_the_targets_goes_on(pager):
    pager.policy(["ana"], ["bo"])
    source, target = pager.fire("a"), pager.fire("b")
    merge(source, target)
    pager.wait(minutes=6)
    assert (pager.paged(source), pager.paged(target)) == (["ana"], ["ana", "bo"])
    run = EscalationRun.objects.get(incident=source)
    assert (run.status, run.due_at, run.end_reason) == ("stopped", None, "merged")


def test_its_waiting_pages_are_not_sent(db):
    waiting = NotificationFactory()
    other = NotificationFactory(incident__service=waiting.incident.service)
    merge(waiting.incident, other.incident)
    assert dict(Notification.objects.values_list("pk", "status")) == {
        waiting.pk: NotificationStatus.CANCELLED,
        other.pk: NotificationStatus.PENDING,
    }


def test_merging_costs_as_many_queries_for_many_alerts_as_for_one(db):
    def cost(alerts):
        source = IncidentFactory()
        AlertFactory.create_batch(alerts, incident=source)
        with CaptureQueriesContext(connection) as queries:
            merge(source, IncidentFactory(service=source.service))
        return len(queries)

    assert cost(1) == cost(10)


def test_what_was_merged_ends_and_begins_again_with_the_target(pager):
    source, target = pager.fire("a"), pager.fire("b")
    merge(source, target)
    lifecycle.resolve(incident_id=target.pk, actor=SYSTEM)
    assert not Alert.objects.filter(is_current=True).exists()
    lifecycle.reopen(incident_id=target.pk, actor=SYSTEM)
    assert pager.fire("a") == target


# While intake is under way


@pytest.fixture
def integration(transactional_db):
    return IntegrationFactory()


def take(integration, *events):
    """As a web process does, on a connection of its own."""
    try:
        return intake.take(keys.authenticate(integration.key), events)
    finally:
        connection.close()


@contextmanager
def merging_meanwhile(source, target, call, *arguments):
    """`call` begins when the merge is written and waits for its commit; yields the future of its result."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            merge(source, target)
            future = pool.submit(call, *arguments)
            until = time.monotonic() + 10
            with connection.cursor() as cursor:
                waiting = 0
                while not waiting and not future.done() and time.monotonic() < until:
                    time.sleep(0.02)
                    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    (waiting,) = cursor.fetchone()
        yield future


def two(integration, **fields):
    take(integration, event("a", **fields))
    take(integration, event("b", **fields))
    return Incident.objects.order_by("number")


@pytest.mark.parametrize(
    ("status", "severity", "outcome"),
    [
        (FIRING, Severity.HIGH, Outcome.REPEATED),
        (FIRING, Severity.CRITICAL, Outcome.REPEATED),
        (RESOLVED, Severity.HIGH, Outcome.RESOLVED),
        (ACKNOWLEDGED, Severity.HIGH, Outcome.ACKNOWLEDGED),
    ],
)
def test_an_event_that_meets_a_merge_counts_for_the_target(integration, status, severity, outcome):
    source, target = two(integration)
    sent = event("a", status, severity)
    with merging_meanwhile(source, target, take, integration, sent) as future:
        (result,) = future.result(20)
    target.refresh_from_db()
    alert = Alert.objects.get(dedup_key="a")
    assert (result.outcome, alert.incident, alert.status) == (
        outcome,
        target,
        RESOLVED if status == RESOLVED else FIRING,
    )
    assert (target.severity, target.status) == (
        severity,
        Status.ACKNOWLEDGED if status == ACKNOWLEDGED else Status.OPEN,
    )
    assert source.timeline.last().kind == Kind.MERGED_INTO


def test_the_last_resolve_that_meets_a_merge_ends_the_target(integration):
    source, target = two(integration)
    take(integration, event("b", RESOLVED))
    lifecycle.reopen(incident_id=target.pk, actor=SYSTEM)
    with merging_meanwhile(source, target, take, integration, event("a", RESOLVED)) as future:
        future.result(20)
    target.refresh_from_db()
    assert target.status == Status.RESOLVED


def test_a_new_alert_that_meets_a_merge_goes_to_the_target(integration):
    take(integration, event("a", name="Disk"))
    take(integration, event("b", name="Slow"))
    source, target = Incident.objects.order_by("number")
    with merging_meanwhile(source, target, take, integration, event("c", name="Disk")) as future:
        (result,) = future.result(20)
    assert (result.outcome, result.incident) == (Outcome.JOINED, target.number)


def test_a_storm_and_merges_lose_no_alert(transactional_db):
    integration = IntegrationFactory(grouping=Grouping.NAME)
    rounds, senders = 15, 3

    def send(number):
        for turn in range(rounds):
            status = RESOLVED if number == 0 and turn % 4 == 3 else FIRING
            take(integration, *(event(f"{name}-{number}", status, name=name) for name in "abcd"))

    def person():
        try:
            for _ in range(20):
                pair = list(Incident.objects.unresolved().order_by("?")[:2])
                if len(pair) == 2:
                    with suppress(IncidentIsOver, IncidentMerged):
                        merge(*pair)
                time.sleep(0.01)
        finally:
            connection.close()

    with ThreadPoolExecutor(senders + 2) as pool:
        waiting = [pool.submit(send, n) for n in range(senders)] + [pool.submit(person) for _ in range(2)]
        for future in waiting:
            future.result(60)
    assert sum(Alert.objects.values_list("count", flat=True)) == (senders * rounds - 3) * 4
    assert Incident.objects.filter(merged_into__isnull=False).exists()
    assert not Alert.objects.filter(incident__merged_into__isnull=False).exists()
    assert not Alert.objects.filter(is_current=True, incident__status=Status.RESOLVED).exists()
    assert not Incident.objects.unresolved().exclude(alerts__status=FIRING).exists()
