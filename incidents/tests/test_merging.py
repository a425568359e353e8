"""Two incidents turn out to be one problem."""

import threading
from functools import partial

import pytest
from django.db import connection, transaction

from incidents import bulk, lifecycle, merging, signals, timeline
from incidents.enums import Kind, Severity, Status
from incidents.exceptions import IncidentIsOver, IncidentMerged, MergedIntoItself
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM, Actor
from openalert.exceptions import PermissionMissing
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory


@pytest.fixture
def ana(db):
    return UserFactory(name="Ana Ruiz")


@pytest.fixture
def service(ana):
    return ServiceFactory(team=TeamFactory(responders=[ana]))


def incident(service, **fields):
    return IncidentFactory(service=service, **fields)


def merge(source, target, actor=SYSTEM):
    return merging.merge(source_ids=[source.pk], target_id=target.pk, actor=actor)


def story(incident):
    return [timeline.sentence(entry) for entry in incident.timeline.all()]


def test_the_source_is_resolved_and_both_tell_of_it(ana, service, clock):
    source, target = incident(service, status=Status.ACKNOWLEDGED), incident(service)
    clock.advance(minutes=5)
    merge(source, target, Actor.person(ana, via="web"))
    source.refresh_from_db()
    assert (source.status, source.merged_into, source.resolved_at, source.resolved_by) == (
        Status.RESOLVED,
        target,
        clock.now,
        ana,
    )
    assert story(source) == [f"Ana Ruiz merged it into #{target.number}"]
    assert story(target) == [f"Ana Ruiz merged #{source.number} into it"]
    (line,) = timeline.lines(target.timeline.all())
    assert line.numbers == [source.number]


@pytest.mark.parametrize("status", [Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED])
def test_the_target_stays_as_it_is(service, status):
    target = incident(service, status=status)
    merge(incident(service), target)
    target.refresh_from_db()
    assert target.status == status


def test_several_are_merged_at_once(service):
    sources = [incident(service), incident(service)]
    target = incident(service)
    merging.merge(source_ids=[s.pk for s in sources], target_id=target.pk, actor=SYSTEM)
    assert set(target.merged.all()) == set(sources)
    assert story(target) == [f"OpenAlert merged #{sources[0].number} and #{sources[1].number} into it"]


@pytest.mark.parametrize(
    ("source", "target", "after"),
    [
        (Severity.CRITICAL, Severity.LOW, Severity.CRITICAL),
        (Severity.LOW, Severity.HIGH, Severity.HIGH),
    ],
)
def test_the_target_becomes_as_severe_as_the_worst(service, source, target, after):
    merged_into = merge(incident(service, severity=source), incident(service, severity=target))
    merged_into.refresh_from_db()
    assert merged_into.severity == after
    assert (Kind.SEVERITY_CHANGED in merged_into.timeline.values_list("kind", flat=True)) == (target != after)


def test_repeating_it_changes_nothing(service):
    source, target = incident(service), incident(service)
    merge(source, target)
    merge(source, target)
    lifecycle.resolve(incident_id=target.pk, actor=SYSTEM)
    merge(source, target)
    assert (source.timeline.count(), target.timeline.count()) == (1, 2)


def test_what_is_not_merged(service):
    one, other, over = incident(service), incident(service), incident(service, status=Status.RESOLVED)
    gone = incident(service)
    merge(gone, other)
    into = f"Incident {gone.number} was merged into {other.number}"
    for source, target, failure, words in [
        (one, one, MergedIntoItself, "itself"),
        (one, over, IncidentIsOver, f"Incident {over.number} is resolved"),
        (over, one, IncidentIsOver, f"Incident {over.number} is resolved"),
        (one, gone, IncidentMerged, into),
        (gone, one, IncidentMerged, into),
        (other, gone, IncidentMerged, into),
    ]:
        with pytest.raises(failure, match=words):
            merge(source, target)
    one.refresh_from_db()
    assert (one.status, one.merged_into, one.timeline.count()) == (Status.OPEN, None, 0)


def test_of_several_none_is_merged_when_one_cannot_be(service):
    sources = [incident(service), incident(service, status=Status.RESOLVED)]
    target = incident(service)
    with pytest.raises(IncidentIsOver):
        merging.merge(source_ids=[s.pk for s in sources], target_id=target.pk, actor=SYSTEM)
    assert not target.merged.exists()


def test_a_person_has_to_be_a_responder_of_all_the_teams(ana, service):
    mine, theirs = incident(service), incident(ServiceFactory(team=TeamFactory(observers=[ana])))
    for source, target in ((mine, theirs), (theirs, mine)):
        with pytest.raises(PermissionMissing):
            merge(source, target, Actor.person(ana, via="web"))
    assert not Incident.objects.exclude(status=Status.OPEN).exists()


def test_a_merged_incident_is_not_reopened(service):
    source, target = incident(service), incident(service)
    merge(source, target)
    with pytest.raises(IncidentMerged, match="goes on there"):
        lifecycle.reopen(incident_id=source.pk, actor=SYSTEM)
    lifecycle.resolve(incident_id=source.pk, actor=SYSTEM)
    assert source.timeline.count() == 1


def test_the_fact_is_told_as_merged_and_not_as_resolved(service):
    told = []

    def hear(signal, incidents, actor, target=None, **kwargs):
        told.append((signal, incidents, target, actor))

    source, target = incident(service), incident(service)
    heard = (signals.incidents_merged, signals.incidents_resolved)
    for signal in heard:
        signal.connect(hear)
    try:
        merge(source, target)
    finally:
        for signal in heard:
            signal.disconnect(hear)
    assert told == [(signals.incidents_merged, [source], target, SYSTEM)]


def test_a_group_goes_on_where_its_incident_goes_on(service, clock):
    first, second, third = (incident(service, grouping_key=key) for key in ("g", "", "h"))
    group = bulk.Joinable(service.id_text, "g", clock.now)
    merge(first, second)
    assert bulk.to_join([group]) == {(service.id_text, "g"): second.id_text}
    merge(second, third)
    assert bulk.to_join([group]) == {(service.id_text, "g"): third.id_text}
    late = bulk.Joinable(service.id_text, "g", clock.advance(minutes=1))
    assert bulk.to_join([late]) == {}, "its last alert is too long ago"
    lifecycle.resolve(incident_id=third.pk, actor=SYSTEM)
    assert bulk.to_join([group]) == {}


def at_once(*calls):
    """Do all of it at the same time, each in a transaction of its own; what each raised, or None."""
    begin, raised = threading.Barrier(len(calls)), [None] * len(calls)

    def run(place, call):
        try:
            begin.wait(10)
            with transaction.atomic():
                call()
        except Exception as error:
            raised[place] = type(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=call) for call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


@pytest.mark.django_db(transaction=True)
def test_of_two_merges_that_cross_one_wins(service):
    for _ in range(5):
        a, b = incident(service), incident(service)
        raised = at_once(partial(merge, a, b), partial(merge, b, a))
        assert sorted(raised, key=str) == [IncidentMerged, None]
        a.refresh_from_db()
        b.refresh_from_db()
        assert sorted([a.status, b.status]) == [Status.OPEN, Status.RESOLVED]
        assert (a.merged_into, b.merged_into) in [(b, None), (None, a)]


@pytest.mark.django_db(transaction=True)
def test_a_merge_against_a_resolve_of_its_target(service):
    for _ in range(5):
        a, b = incident(service), incident(service)
        merged, resolved = at_once(
            partial(merge, a, b), partial(lifecycle.resolve, incident_id=b.pk, actor=SYSTEM)
        )
        a.refresh_from_db()
        b.refresh_from_db()
        assert (resolved, b.status) == (None, Status.RESOLVED)
        assert (merged, a.status, a.merged_into) in [
            (None, Status.RESOLVED, b),
            (IncidentIsOver, Status.OPEN, None),
        ]
