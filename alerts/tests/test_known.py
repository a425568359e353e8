"""The one-statement way of intake: what it takes it takes as the long way would, and the rest it leaves alone."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import intake, keys, known
from alerts.enums import EventStatus, Grouping
from alerts.events import AlertEvent
from alerts.models import Alert
from alerts.problems import Arrival, rounds
from alerts.results import Results
from alerts.tests.factories import IntegrationFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity
from incidents.models import Incident
from incidents.timeline import SYSTEM
from openalert import sql

pytestmark = pytest.mark.django_db(transaction=True)
FIRING, RESOLVED = EventStatus.FIRING, EventStatus.RESOLVED


def event(key, status=FIRING, **fields):
    defaults = {"title": f"Alert {key}", "name": "Alert", "severity": Severity.HIGH, "labels": {"key": key}}
    return AlertEvent(dedup_key=key, status=status, **{**defaults, **fields})


@pytest.fixture
def integration():
    """As the door has it: looked up by its key."""
    return keys.authenticate(IntegrationFactory(grouping=Grouping.ALL).key)


@pytest.fixture
def many_told(integration, monkeypatch):
    """An incident of which the timeline has told enough, so that more alerts may join without a word."""
    send(integration, event("first"))
    monkeypatch.setattr(known, "ENTRIES_ONE_BY_ONE", 0)
    return Incident.objects.get()


def send(integration, *events):
    return intake.ingest([Arrival(integration, e) for e in events])


def statements(integration, *events):
    with CaptureQueriesContext(connection) as queries:
        results = send(integration, *events)
    return len(queries), [result.outcome for result in results]


def stored(*fields):
    return sorted(Alert.objects.values_list("dedup_key", *fields))


def test_repeats_and_joins_take_one_statement(integration, many_told):
    events = [event("first"), *(event(f"new-{n}") for n in range(500)), event("first")]
    assert statements(integration, *events) == (1, ["repeated", *["joined"] * 500, "repeated"])
    assert Counter(Alert.objects.values_list("count", flat=True)) == {1: 500, 3: 1}
    assert set(Alert.objects.values_list("incident", flat=True)) == {many_told.pk}


def test_both_ways_write_the_same(integration, many_told, monkeypatch):
    same = {"source": "db1", "metadata": {"a": [1, {"b": "ü"}]}, "severity": Severity.LOW, "title": "Same"}
    send(integration, event("short", **same), event("first", **same))
    monkeypatch.setattr(known, "ENTRIES_ONE_BY_ONE", 1000)
    send(integration, event("long", **same))
    columns = (
        "title",
        "severity",
        "source",
        "metadata",
        "status",
        "is_current",
        "count",
        "integration",
        "incident",
    )
    short, long = (Alert.objects.filter(dedup_key=key).values(*columns).get() for key in ("short", "long"))
    assert short == long
    first = Alert.objects.get(dedup_key="first")
    assert (first.title, first.severity, first.source, first.count) == ("Same", "low", "db1", 2)


def test_nothing_is_stored_of_a_batch_with_something_else_in_it(integration, many_told):
    events = [event("new"), event("worse", severity=Severity.CRITICAL)]
    [problems] = rounds([Arrival(integration, e) for e in events])
    call = known.call_for(problems.values(), [integration], now=many_told.last_alert_at)
    assert not call.report(sql.fetch(known.TAKE, call.parameters)[0][0], Results(2))
    assert stored() == [("first",)]
    assert [r.outcome for r in send(integration, *events)] == ["joined", "joined"]
    assert Incident.objects.get().severity == Severity.CRITICAL


@pytest.mark.parametrize(
    "others",
    [
        [event("first", RESOLVED)],
        [event("first", EventStatus.ACKNOWLEDGED)],
        [event("first"), event("first", RESOLVED)],
    ],
)
def test_resolves_and_acknowledgements_go_the_long_way(integration, many_told, others):
    count, _ = statements(integration, event("new"), *others)
    assert count > 1
    assert Alert.objects.get(dedup_key="new").incident_id


def test_incident_that_was_resolved_is_not_joined(integration, many_told):
    lifecycle.resolve(incident_id=many_told.pk, actor=SYSTEM)
    assert [r.outcome for r in send(integration, event("new"))] == ["opened"]
    assert Incident.objects.count() == 2


def test_the_timeline_hears_of_a_storm_now_and_then(integration, clock):
    for number in range(60):
        send(integration, event(f"key-{number}"))
    added = Incident.objects.get().timeline.filter(kind=Kind.ALERT_ADDED)
    assert added.count() == known.ENTRIES_ONE_BY_ONE
    clock.advance(seconds=known.ENTRY_INTERVAL.total_seconds() + 1)
    send(integration, event("later"))
    assert added.count() == known.ENTRIES_ONE_BY_ONE + 1
    assert added.last().data == {"count": 1, "titles": ["Alert later"], "among_others": True}
    assert Incident.objects.get().last_alert_at == clock.now
    assert Alert.objects.count() == 61


@pytest.mark.parametrize("change", ["is_enabled", "key_hash", "name"])
def test_integration_that_changed_is_noticed(integration, many_told, change):
    send(integration, event("before"))
    type(integration).objects.filter(pk=integration.pk).update(
        **{change: {"is_enabled": False, "key_hash": "0" * 64, "name": "Other"}[change]}
    )
    with pytest.raises(keys.IntegrationChanged):
        send(integration, event("after"))
    assert stored() == [("before",), ("first",)]


def test_the_same_new_alerts_at_once_are_counted_once_each(integration, many_told):
    def client(number):
        try:
            return [
                r.outcome
                for turn in range(10)
                for r in send(integration, *(event(f"{turn}-{n}") for n in range(20)))
            ]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        told = Counter(str(outcome) for outcomes in pool.map(client, range(4)) for outcome in outcomes)
    assert told == {"joined": 200, "repeated": 600}
    assert set(Alert.objects.exclude(dedup_key="first").values_list("count", flat=True)) == {4}


def test_intake_and_a_resolve_at_once_leave_no_alert_firing_in_a_resolved_incident(integration, many_told):
    def sender(number):
        try:
            for turn in range(40):
                send(integration, event(f"{number}-{turn}"), event("first"))
        finally:
            connection.close()

    def person():
        try:
            for _ in range(25):
                for pk in Incident.objects.unresolved().values_list("pk", flat=True):
                    lifecycle.resolve(incident_id=pk, actor=SYSTEM)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(sender, 0), pool.submit(sender, 1), pool.submit(person)]:
            future.result()
    assert not Alert.objects.filter(status="firing", incident__status="resolved").exists()
    assert Alert.objects.exclude(dedup_key="first").count() == 80
