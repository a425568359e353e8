"""Intake's stories, on the functions; alerts/tests/test_door.py has those over HTTP."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import intake
from alerts.enums import AlertStatus, EventStatus, Grouping
from alerts.events import AlertEvent
from alerts.models import Alert
from alerts.problems import Arrival
from alerts.results import Outcome
from alerts.tests.factories import IntegrationFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident
from incidents.timeline import SYSTEM
from teams.enums import Correlation
from teams.models import ServiceDependency
from teams.tests.factories import ServiceFactory

FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def event(key="disk", status=FIRING, **fields):
    defaults = {"title": f"Alert {key}", "name": "Alert", "severity": Severity.HIGH}
    return AlertEvent(dedup_key=key, status=status, **{**defaults, **fields})


def send(integration, *events):
    return intake.ingest([Arrival(integration, e) for e in events])


def outcomes(integration, *events):
    return [result.outcome for result in send(integration, *events)]


@pytest.fixture
def integration(db):
    return IntegrationFactory()


def test_first_alert_opens_an_incident(integration, clock):
    [result] = send(integration, event(severity=Severity.CRITICAL))
    incident = Incident.objects.get()
    assert (result.outcome, result.incident) == (Outcome.OPENED, incident.number)
    assert (incident.title, incident.severity, incident.status, incident.opened_at) == (
        "Alert disk",
        Severity.CRITICAL,
        Status.OPEN,
        clock.now,
    )
    opened = incident.timeline.get(kind=Kind.OPENED)
    assert opened.data == {"severity": "critical", "count": 1, "titles": ["Alert disk"]}
    assert (opened.actor_kind, opened.actor_name, opened.via) == (
        "integration",
        integration.name,
        "openalert",
    )


def test_same_dedup_key_is_the_same_alert_with_a_higher_count(integration, clock):
    send(integration, event())
    clock.advance(minutes=1)
    assert (
        outcomes(integration, event(title="Disk fuller"), event(title="Disk full")) == [Outcome.REPEATED] * 2
    )
    alert = Alert.objects.get()
    assert (alert.count, alert.title, alert.last_fired_at) == (3, "Disk full", clock.now)
    assert alert.first_fired_at == clock.now - timedelta(minutes=1)


def test_same_dedup_key_of_another_integration_is_another_alert(integration):
    other = IntegrationFactory()
    intake.ingest([Arrival(integration, event()), Arrival(other, event())])
    assert Alert.objects.count() == Incident.objects.count() == 2


def test_resolve_closes_the_alert_and_with_the_last_one_the_incident(integration):
    send(integration, event("a"), event("b"))
    assert outcomes(integration, event("a", RESOLVED)) == [Outcome.RESOLVED]
    assert Incident.objects.get().status == Status.OPEN
    send(integration, event("b", RESOLVED))
    incident = Incident.objects.get()
    assert incident.status == Status.RESOLVED
    assert list(incident.timeline.values_list("kind", flat=True))[-2:] == [Kind.ALERT_RESOLVED, Kind.RESOLVED]


def test_incident_stays_open_when_the_service_says_so(db):
    integration = IntegrationFactory(service=ServiceFactory(resolves_with_alerts=False))
    send(integration, event(), event(status=RESOLVED))
    assert Incident.objects.get().status == Status.OPEN
    assert outcomes(integration, event()) == [Outcome.REFIRED]


def test_resolve_of_nothing_is_ignored(integration):
    assert outcomes(integration, event(status=RESOLVED)) == [Outcome.IGNORED]
    assert not Alert.objects.exists()
    send(integration, event("a"), event("b"), event("a", RESOLVED))
    assert outcomes(integration, event("a", RESOLVED)) == [Outcome.IGNORED]


def test_alert_that_comes_back_after_the_end_is_a_new_one_in_a_new_incident(integration):
    send(integration, event())
    send(integration, event(status=RESOLVED))
    assert outcomes(integration, event()) == [Outcome.OPENED]
    assert [a.incident.status for a in Alert.objects.order_by("pk")] == [Status.RESOLVED, Status.OPEN]
    assert [a.count for a in Alert.objects.all()] == [1, 1]


def test_flapping_alert_stays_one_alert_of_one_incident(integration):
    send(integration, event("steady"))
    for _ in range(3):
        send(integration, event("flapping"))
        send(integration, event("flapping", RESOLVED))
    alert = Alert.objects.get(dedup_key="flapping")
    assert (alert.count, alert.status) == (3, RESOLVED)
    assert Incident.objects.count() == 1


def test_order_within_a_batch_counts(integration):
    got = outcomes(integration, event(), event(), event(status=RESOLVED), event(), event("x", name="X"))
    assert got == [Outcome.OPENED, Outcome.REPEATED, Outcome.RESOLVED, Outcome.OPENED, Outcome.OPENED]
    assert Counter(Incident.objects.values_list("status", flat=True)) == {"resolved": 1, "open": 2}


@pytest.mark.parametrize(
    ("grouping", "labels", "expected"),
    [
        (Grouping.NAME, [], [{"a", "b"}, {"c"}, {"d"}]),
        (Grouping.LABELS, ["cluster"], [{"a", "c"}, {"b"}, {"d"}]),
        (Grouping.LABELS, ["cluster", "app"], [{"a"}, {"b"}, {"c"}, {"d"}]),
        (Grouping.ALL, [], [{"a", "b", "c", "d"}]),
        (Grouping.NONE, [], [{"a"}, {"b"}, {"c"}, {"d"}]),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_grouping(db, grouping, labels, expected, at_once):
    integration = IntegrationFactory(grouping=grouping, grouping_labels=labels)
    events = [
        event("a", name="Disk", labels={"cluster": "eu", "app": "x"}),
        event("b", name="Disk", labels={"cluster": "us", "app": "x"}),
        event("c", name="CPU", labels={"cluster": "eu", "app": "y"}),
        event("d", name="Fan", labels={}),
    ]
    for batch in [events] if at_once else [[e] for e in events]:
        send(integration, *batch)
    groups = [
        set(incident.alerts.values_list("dedup_key", flat=True))
        for incident in Incident.objects.order_by("number")
    ]
    assert sorted(map(sorted, groups)) == sorted(map(sorted, expected))


def test_window_is_counted_from_the_newest_alert(db, clock):
    integration = IntegrationFactory(grouping=Grouping.ALL, grouping_window_minutes=10)
    send(integration, event("a"))
    clock.advance(minutes=9)
    assert outcomes(integration, event("b")) == [Outcome.JOINED]
    clock.advance(minutes=10)
    assert outcomes(integration, event("c")) == [Outcome.JOINED]
    clock.advance(minutes=10, seconds=1)
    assert outcomes(integration, event("d")) == [Outcome.OPENED]


def test_alerts_do_not_join_another_services_incident(db):
    first, second = IntegrationFactory(grouping=Grouping.ALL), IntegrationFactory(grouping=Grouping.ALL)
    intake.ingest([Arrival(first, event("a")), Arrival(second, event("b"))])
    assert Incident.objects.count() == 2


def test_integrations_of_one_service_share_its_incidents(integration):
    other = IntegrationFactory(service=integration.service)
    send(integration, event("a"))
    assert outcomes(other, event("b")) == [Outcome.JOINED]


def test_worse_alert_raises_the_incidents_severity_and_a_milder_one_does_not_lower_it(integration):
    send(integration, event("a", severity=Severity.MEDIUM))
    send(integration, event("b", severity=Severity.LOW))
    assert Incident.objects.get().severity == Severity.MEDIUM
    send(integration, event("b", severity=Severity.CRITICAL))
    assert Incident.objects.get().severity == Severity.CRITICAL
    send(integration, event("c", severity=Severity.HIGH))
    assert Incident.objects.get().severity == Severity.CRITICAL


def test_person_who_resolves_the_incident_closes_its_alerts(integration):
    send(integration, event("a"), event("b"), event("b", RESOLVED))
    lifecycle.resolve(incident_id=Incident.objects.get().pk, actor=SYSTEM)
    assert set(Alert.objects.values_list("status", "is_current")) == {(RESOLVED, False)}
    assert outcomes(integration, event("a")) == [Outcome.OPENED]


def test_reopened_incident_takes_its_alerts_back(integration):
    send(integration, event("a"), event("b"))
    incident = Incident.objects.get()
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    integration.grouping = Grouping.NONE
    send(integration, event("b"))  # a new alert, in an incident of its own
    lifecycle.reopen(incident_id=incident.pk, actor=SYSTEM)
    [a, b] = send(integration, event("a"), event("b"))
    assert (a.outcome, a.incident) == (Outcome.REFIRED, incident.number)
    assert (b.outcome, b.incident != incident.number) == (Outcome.REPEATED, True)


def test_repeats_of_a_storm_cost_a_constant_number_of_queries(integration, django_assert_num_queries):
    send(integration, *(event(str(n)) for n in range(50)))
    with django_assert_num_queries(
        7
    ):  # savepoint, plans, integrations, alerts, incidents, firing again, release
        send(integration, *(event(str(n)) for n in range(50)))


def test_a_batch_costs_as_many_queries_for_ten_incidents_as_for_two(integration):
    def cost(status, key, names):
        events = [event(f"{name}-{key}", status, name=name) for name in names]
        with CaptureQueriesContext(connection) as queries:
            send(integration, *events)
        return len(queries)

    two, ten = ["a", "b"], list("cdefghijkl")
    for status, key in [(FIRING, "opens"), (FIRING, "joins"), (RESOLVED, "joins"), (RESOLVED, "opens")]:
        assert cost(status, key, two) == cost(status, key, ten), (status, key)
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.RESOLVED}


def test_failure_leaves_nothing_half_stored(integration, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("escalations.engine.begin", fail)
    monkeypatch.setattr("incidents.timeline.record_all", fail)
    with pytest.raises(RuntimeError):
        send(integration, event())
    assert not Alert.objects.exists()
    assert not Incident.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_make_one_incident_and_the_right_counts():
    integration = IntegrationFactory(grouping=Grouping.ALL)

    def client(number):
        try:
            for turn in range(25):
                send(integration, event(f"key-{(number + turn) % 10}"))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    assert Incident.objects.count() == 1
    assert Alert.objects.count() == 10
    assert sum(Alert.objects.values_list("count", flat=True)) == 200


@pytest.mark.django_db(transaction=True)
def test_intake_and_people_at_once_neither_deadlock_nor_lose_an_alert():
    integration = IntegrationFactory(grouping=Grouping.ALL)
    keys = [f"key-{n}" for n in range(10)]
    fired = 0

    def sender(number):
        try:
            for turn in range(20):
                status = RESOLVED if number == 0 and turn % 3 == 0 else FIRING
                send(integration, *(event(key, status) for key in keys))
        finally:
            connection.close()

    def person():
        try:
            for _ in range(30):
                for pk in Incident.objects.unresolved().values_list("pk", flat=True):
                    lifecycle.resolve(incident_id=pk, actor=SYSTEM)
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(sender, n) for n in range(4)] + [pool.submit(person)]
        for future in waiting:
            future.result()
    fired = 4 * 20 * 10 - 7 * 10
    assert sum(Alert.objects.values_list("count", flat=True)) == fired
    assert not Alert.objects.filter(is_current=True, incident__status=Status.RESOLVED).exists()
    assert not Alert.objects.filter(is_current=False, status=FIRING).exists()


@pytest.mark.django_db(transaction=True)
def test_two_batches_with_the_same_new_alerts_count_each_once():
    integration = IntegrationFactory(grouping=Grouping.ALL)
    send(integration, event("first"))
    both = Barrier(2)

    def client(number):
        try:
            both.wait()
            return outcomes(integration, *(event(f"key-{n}") for n in range(200)))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        told = Counter(outcome for batch in pool.map(client, range(2)) for outcome in batch)
    assert told == {Outcome.JOINED: 200, Outcome.REPEATED: 200}
    assert set(Alert.objects.exclude(dedup_key="first").values_list("count", flat=True)) == {2}


def test_alerts_of_a_dependent_service_join_the_upstream_incident_where_the_setting_says_so(integration):
    database = IntegrationFactory()
    dependency = ServiceDependency.objects.create(
        service=integration.service, upstream=database.service, correlation=Correlation.JOIN
    )
    assert outcomes(integration, event("alone")) == [Outcome.OPENED]
    lifecycle.resolve(incident_id=Incident.objects.get().pk, actor=SYSTEM)
    send(database, event("db down"))
    cause = Incident.objects.unresolved().get()
    [joined] = send(integration, event("checkout slow", severity=Severity.CRITICAL))
    assert (joined.outcome, joined.incident) == (Outcome.JOINED, cause.number)
    cause.refresh_from_db()
    assert cause.severity == Severity.CRITICAL
    dependency.correlation = Correlation.SUGGEST
    dependency.save()
    assert outcomes(integration, event("basket slow")) == [Outcome.OPENED]


def test_a_thousand_mixed_alerts_of_several_services_take_as_many_statements_as_ten(db):
    integrations = [IntegrationFactory(grouping=Grouping.LABELS, grouping_labels=["group"]) for _ in range(5)]

    def arrivals(size, first):
        """New ones, repeats, refires, resolves, acknowledgements, worse ones: for each of five services."""
        for number in range(size):
            integration = integrations[number % 5]
            kind = (number // 5) % 4
            status = (FIRING, FIRING, RESOLVED, EventStatus.ACKNOWLEDGED)[kind]
            severity = Severity.CRITICAL if kind == 1 else Severity.LOW
            key = f"{first}-{number // 20}"
            labels = {"group": str(number // 20 % 7)}
            yield Arrival(integration, event(f"{key}-{kind}", status, severity=severity, labels=labels))

    def cost(size, first):
        known = [
            Arrival(a.integration, event(a.event.dedup_key, severity=Severity.LOW, labels=a.event.labels))
            for a in arrivals(size, first)
            if not a.event.dedup_key.endswith("-0")
        ]
        intake.ingest(known)
        with CaptureQueriesContext(connection) as queries:
            told = intake.ingest(list(arrivals(size, first)))
        return len(queries), Counter(result.outcome for result in told)

    cost(200, "before")  # the groups have their incidents
    small, told_small = cost(200, "small")
    large, told_large = cost(1000, "large")
    assert set(told_small) == set(told_large) == {"joined", "repeated", "resolved", "acknowledged"}
    assert large == small
