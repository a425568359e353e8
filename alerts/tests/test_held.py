"""Rules at work: what they drop, move, change and hold back, and what becomes of that."""

from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts import intake, release
from alerts.enums import EventStatus
from alerts.events import AlertEvent
from alerts.keys import authenticate
from alerts.models import Alert, HeldAlert, Integration, IntegrationRule
from alerts.results import Outcome
from alerts.tests.factories import IntegrationFactory
from alerts.tests.test_door import post
from incidents.enums import Severity
from incidents.models import Incident
from teams.tests.factories import ServiceFactory

FIRING, RESOLVED, ACKNOWLEDGED = EventStatus.FIRING, EventStatus.RESOLVED, EventStatus.ACKNOWLEDGED
DELAY = {"do": "delay", "minutes": 5}
THRICE = {"do": "threshold", "times": 3, "minutes": 10}


@pytest.fixture
def integration(db):
    return IntegrationFactory()


def rule(integration, *actions, conditions=()):
    position = integration.rules.count()
    return IntegrationRule.objects.create(
        integration=integration,
        position=position,
        name=f"Rule {position}",
        conditions=list(conditions),
        actions=list(actions),
    )


def event(key="disk", status=FIRING, **facts):
    return AlertEvent(**({"dedup_key": key, "status": status, "title": "Disk full"} | USUAL | facts))


USUAL = {"severity": Severity.HIGH, "name": "disk"}


def send(integration, *events):
    """As a process does that has just looked the key up."""
    return [result.outcome for result in intake.take(authenticate(integration.key), events)]


def test_what_is_dropped_is_answered_and_not_stored(integration):
    rule(integration, {"do": "drop"}, conditions=[{"test": "equals", "field": "labels.env", "value": "test"}])
    outcomes = send(integration, event("a"), event("b", labels={"env": "test"}), event("c"))
    assert outcomes == [Outcome.OPENED, Outcome.DROPPED, Outcome.OPENED]
    assert set(Alert.objects.values_list("dedup_key", flat=True)) == {"a", "c"}


def test_the_door_heeds_rules_and_each_of_their_edits_at_once(transactional_db):
    integration = IntegrationFactory()
    alert = {"external_id": "disk", "title": "Disk full"}

    def outcome():
        [told] = post(integration.key, alert).json()["alerts"]
        return told["outcome"]

    assert outcome() == "opened"
    drop = rule(integration, {"do": "drop"})
    assert outcome() == "dropped"
    IntegrationRule.objects.update(is_enabled=False)
    assert outcome() == "repeated"
    IntegrationRule.objects.update(is_enabled=True)
    assert outcome() == "dropped"
    drop.delete()
    assert outcome() == "repeated"


def test_a_change_of_the_service_that_alerts_are_sent_to_is_heeded(transactional_db):
    integration = IntegrationFactory()
    other = ServiceFactory(team=integration.service.team)
    rule(integration, {"do": "set_service", "service": str(other.pk)})
    before = authenticate(integration.key).stamp
    type(other).objects.filter(pk=other.pk).update(name="Renamed")
    assert authenticate(integration.key).stamp != before


def test_severity_title_service_and_grouping_are_as_the_rules_say(integration):
    other = ServiceFactory(team=integration.service.team)
    rule(
        integration,
        {"do": "set_severity", "severity": "low"},
        {"do": "set_title", "title": "{title} on {labels.host}"},
        {"do": "group", "by": "{labels.rack}"},
        {"do": "set_service", "service": str(other.pk)},
    )
    hosts = [("a", "r1"), ("b", "r2"), ("c", "r1")]
    outcomes = send(
        integration, *[event(host, name=host, labels={"host": host, "rack": rack}) for host, rack in hosts]
    )
    assert outcomes == [Outcome.OPENED, Outcome.OPENED, Outcome.OPENED]
    assert set(Incident.objects.values_list("title", "severity", "service")) == {
        ("Disk full on a", "low", other.pk),
        ("Disk full on b", "low", other.pk),
    }


def test_a_service_that_went_to_another_team_gets_nothing(integration):
    other = ServiceFactory(team=integration.service.team)
    rule(integration, {"do": "set_service", "service": str(other.pk)})
    type(other).objects.filter(pk=other.pk).update(team=ServiceFactory().team)
    send(integration, event())
    assert Incident.objects.get().service == integration.service


def test_what_has_lasted_becomes_an_alert(integration, clock):
    rule(integration, DELAY)
    began = timezone.now()
    assert send(integration, event(), event("other")) == [Outcome.HELD, Outcome.HELD]
    clock.advance(minutes=3)
    assert send(integration, event(title="Disk fuller", labels={"host": "a"})) == [Outcome.HELD]
    assert (release.release_due(), Incident.objects.count()) == (0, 0)
    clock.advance(minutes=2)
    assert release.release_due() == 2
    alert = Alert.objects.get(dedup_key="disk")
    assert (alert.title, alert.labels, alert.count) == ("Disk fuller", {"host": "a"}, 2)
    assert alert.metadata["held"] == {"since": began.isoformat(), "times": 2}
    assert not HeldAlert.objects.exists()
    assert send(integration, event()) == [Outcome.REPEATED]


def test_what_is_sent_again_when_it_has_lasted_needs_no_beat(integration, clock):
    rule(integration, DELAY)
    send(integration, event())
    clock.advance(minutes=5)
    assert send(integration, event()) == [Outcome.OPENED]
    assert (Alert.objects.get().count, release.release_due()) == (2, 0)


def test_what_is_over_before_it_has_lasted_becomes_nothing(integration, clock):
    rule(integration, DELAY)
    assert send(integration, event(), event(status=RESOLVED)) == [Outcome.HELD, Outcome.IGNORED]
    clock.advance(minutes=6)
    assert release.release_due() == 0
    # It has to last anew.
    assert send(integration, event()) == [Outcome.HELD]
    clock.advance(minutes=4)
    assert release.release_due() == 0


def test_an_alert_that_comes_back_has_to_last_again(integration, clock):
    other = IntegrationFactory(service=integration.service)
    send(other, event("stays"))
    rule(integration, DELAY)
    send(integration, event())
    clock.advance(minutes=5)
    release.release_due()
    assert send(integration, event(status=RESOLVED)) == [Outcome.RESOLVED]
    assert send(integration, event()) == [Outcome.HELD]
    clock.advance(minutes=5)
    assert release.release_due() == 1
    assert Alert.objects.get(integration=integration).status == "firing"
    assert Incident.objects.count() == 1


def test_what_comes_often_enough_becomes_an_alert(integration, clock):
    rule(integration, THRICE)
    for _ in range(4):  # never three within ten minutes
        assert send(integration, event(), event(status=RESOLVED)) == [Outcome.HELD, Outcome.IGNORED]
        clock.advance(minutes=6)
    clock.advance(minutes=10)
    assert send(integration, event()) == [Outcome.HELD]
    assert send(integration, event(), event()) == [Outcome.OPENED, Outcome.REPEATED]
    assert (Alert.objects.get().count, HeldAlert.objects.count()) == (3, 0)


def test_times_in_one_batch_count(integration):
    rule(integration, THRICE)
    assert send(integration, *[event()] * 3) == [Outcome.OPENED, Outcome.REPEATED, Outcome.REPEATED]


def test_what_does_not_come_often_is_forgotten(integration, clock):
    rule(integration, THRICE)
    send(integration, event())
    clock.advance(minutes=10)
    release.release_due()
    assert not HeldAlert.objects.exists()


def test_often_and_lasting(integration, clock):
    rule(integration, DELAY, THRICE)
    assert send(integration, *[event()] * 3) == [Outcome.HELD] * 3
    clock.advance(minutes=4)
    assert send(integration, event()) == [Outcome.HELD]
    clock.advance(minutes=1)
    assert release.release_due() == 1
    assert Alert.objects.get().count == 4


def test_what_is_held_outlives_its_rule_and_its_integration_being_off(integration, clock):
    rule(integration, DELAY)
    send(integration, event())
    IntegrationRule.objects.all().delete()
    Integration.objects.update(is_enabled=False)
    clock.advance(minutes=5)
    assert release.release_due() == 1
    assert Incident.objects.get().service == integration.service


def test_what_became_an_alert_meanwhile_is_not_counted_again(integration, clock):
    rule(integration, DELAY)
    send(integration, event())
    IntegrationRule.objects.all().delete()
    assert send(integration, event()) == [Outcome.OPENED]
    clock.advance(minutes=5)
    release.release_due()
    assert (Alert.objects.get().count, HeldAlert.objects.count()) == (1, 0)


def test_what_was_an_alert_meanwhile_and_is_over_stays_over(integration, clock):
    rule(integration, DELAY)
    send(integration, event())
    IntegrationRule.objects.all().delete()
    assert send(integration, event(), event(status=RESOLVED)) == [Outcome.OPENED, Outcome.RESOLVED]
    clock.advance(minutes=5)
    assert release.release_due() == 0
    assert Incident.objects.get().is_resolved


def test_an_acknowledgement_of_what_is_held_is_for_nothing(integration):
    rule(integration, DELAY)
    assert send(integration, event(), event(status=ACKNOWLEDGED)) == [Outcome.HELD, Outcome.IGNORED]
    assert HeldAlert.objects.count() == 1


def test_holding_a_thousand_takes_as_many_statements_as_holding_ten(integration):
    rule(integration, DELAY)
    rule(integration, THRICE, conditions=[{"test": "matches", "field": "dedup_key", "pattern": "7$"}])

    def statements(count):
        events = [event(f"{count}-{n}") for n in range(count)]
        send(integration, *events)
        with CaptureQueriesContext(connection) as queries:
            send(integration, *events, event(f"{count}-0", RESOLVED))
        return len(queries)

    assert statements(10) == statements(1000)


def run_together(*calls):
    begin, raised = Barrier(len(calls)), []

    def run(call):
        try:
            begin.wait()
            call()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []


def test_workers_that_release_at_once_release_each_alert_once(transactional_db, monkeypatch):
    monkeypatch.setattr(release, "BATCH", 20)
    integration = IntegrationFactory()
    rule(integration, DELAY)
    send(integration, *[event(f"disk-{n}", name=f"disk-{n}") for n in range(100)])
    later = timezone.now() + timedelta(minutes=6)
    run_together(*[lambda: release.release_due(later)] * 4)
    assert (Alert.objects.count(), Incident.objects.count(), HeldAlert.objects.count()) == (100, 100, 0)
    assert set(Alert.objects.values_list("count", flat=True)) == {1}


def test_a_release_and_a_resolve_at_once_leave_no_alert_firing(transactional_db):
    integration = IntegrationFactory()
    rule(integration, DELAY)
    keys = [f"disk-{n}" for n in range(30)]
    for key in keys:
        send(integration, event(key))
        HeldAlert.objects.update(due_at=timezone.now())
        run_together(release.release_due, lambda key=key: send(integration, event(key, RESOLVED)))
        # If the resolve was first there is no alert; if the release was, it is over.
        assert not Alert.objects.filter(status="firing").exists()
        assert not HeldAlert.objects.exists()


def test_several_that_begin_to_hold_the_same_at_once_count_every_time(transactional_db):
    integration = IntegrationFactory()
    rule(integration, DELAY)
    events = [event(f"disk-{n}") for n in range(20)]
    run_together(*[lambda order=order: send(integration, *events[::order]) for order in (1, -1, 1, -1)])
    assert set(HeldAlert.objects.values_list("count", flat=True)) == {4}


def test_a_release_that_fails_leaves_what_is_held(integration, clock, monkeypatch):
    rule(integration, DELAY)
    send(integration, event())
    clock.advance(minutes=5)
    monkeypatch.setattr(intake, "ingest", lambda arrivals: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        release.release_due()
    assert HeldAlert.objects.count() == 1


def test_times_are_read_back_as_they_were(integration, clock):
    rule(integration, THRICE)
    send(integration, event())
    [row] = HeldAlert.objects.all()
    assert (row.fired_at, row.within, row.times) == ([timezone.now()], timedelta(minutes=10), 3)
    assert isinstance(row.expires_at, datetime)
    assert row.expires_at == timezone.now() + timedelta(minutes=10)
