"""The incident's state machine."""

from datetime import timedelta

import pytest

from incidents import lifecycle, signals, timeline
from incidents.enums import (
    TRANSITIONS,
    ActionItemState,
    Kind,
    LinkKind,
    PostmortemState,
    Severity,
    Status,
    UpdateState,
)
from incidents.exceptions import EmptyNote, InvalidTransition, SnoozeInThePast
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM, Actor
from teams.tests.factories import ServiceFactory, UserFactory

STEPS = {
    "acknowledge": (lifecycle.acknowledge, Status.ACKNOWLEDGED),
    "unacknowledge": (lifecycle.unacknowledge, Status.OPEN),
    "resolve": (lifecycle.resolve, Status.RESOLVED),
    "reopen": (lifecycle.reopen, Status.OPEN),
}
REFUSED = {
    ("acknowledge", Status.RESOLVED),
    ("unacknowledge", Status.RESOLVED),
    ("reopen", Status.ACKNOWLEDGED),
    ("reopen", Status.SNOOZED),
}


@pytest.fixture
def ana(db):
    return UserFactory(name="Ana Ruiz")


def by(person):
    return Actor.person(person, via="web")


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_from_each_status(ana, clock, step, status):
    incident = IncidentFactory(status=status)
    function, result = STEPS[step]
    if (step, status) in REFUSED:
        with pytest.raises(InvalidTransition, match=f"Incident {incident.number} is {status}"):
            function(incident_id=incident.pk, actor=by(ana))
        result = status
    else:
        function(incident_id=incident.pk, actor=by(ana))
        told = incident.timeline.count()
        function(incident_id=incident.pk, actor=by(ana))
        assert incident.timeline.count() == told, "repeating it changes nothing"
    incident.refresh_from_db()
    assert incident.status == result


def test_every_status_can_be_left():
    assert set(TRANSITIONS) == set(Status)
    assert all(TRANSITIONS.values())


def test_acknowledging_says_who_and_when_and_takes_it(ana, clock):
    incident = IncidentFactory()
    clock.advance(minutes=3)
    lifecycle.acknowledge(incident_id=incident.pk, actor=by(ana))
    incident.refresh_from_db()
    assert (incident.acknowledged_by, incident.acknowledged_at, incident.assigned_to) == (ana, clock.now, ana)
    entry = incident.timeline.get()
    assert (timeline.sentence(entry), entry.actor, entry.via) == ("Ana Ruiz acknowledged", ana, "web")


def test_second_answer_does_not_take_the_first_ones_place(ana):
    incident = IncidentFactory()
    lifecycle.acknowledge(incident_id=incident.pk, actor=by(ana))
    lifecycle.acknowledge(incident_id=incident.pk, actor=by(UserFactory(name="Bo Chen")))
    incident.refresh_from_db()
    assert incident.acknowledged_by == ana


def test_resolving_and_reopening(ana, clock):
    incident = IncidentFactory()
    lifecycle.resolve(incident_id=incident.pk, actor=by(ana))
    incident.refresh_from_db()
    assert (incident.resolved_by, incident.resolved_at) == (ana, clock.now)
    lifecycle.reopen(incident_id=incident.pk, actor=by(ana))
    incident.refresh_from_db()
    assert (incident.status, incident.resolved_by, incident.resolved_at, incident.assigned_to) == (
        Status.OPEN,
        None,
        None,
        None,
    )


def test_snooze_ends_by_itself(ana, clock):
    incident = IncidentFactory()
    lifecycle.snooze(incident_id=incident.pk, until=clock.now + timedelta(hours=1), actor=by(ana))
    assert lifecycle.wake_snoozed() == 0
    clock.advance(hours=1)
    assert (lifecycle.wake_snoozed(), lifecycle.wake_snoozed()) == (1, 0)
    incident.refresh_from_db()
    assert (incident.status, incident.snoozed_until) == (Status.OPEN, None)


def test_snooze_can_be_changed_but_not_lie_in_the_past(ana, clock):
    incident = IncidentFactory()
    with pytest.raises(SnoozeInThePast):
        lifecycle.snooze(incident_id=incident.pk, until=clock.now, actor=by(ana))
    for hours in (1, 5):
        until = clock.now + timedelta(hours=hours)
        lifecycle.snooze(incident_id=incident.pk, until=until, actor=by(ana))
    incident.refresh_from_db()
    assert incident.snoozed_until == until


def test_severity(ana):
    incident = IncidentFactory(severity=Severity.LOW)
    for _ in range(2):
        lifecycle.change_severity(incident_id=incident.pk, severity=Severity.CRITICAL, actor=by(ana))
    sentence = timeline.sentence(incident.timeline.get())
    assert sentence == "Ana Ruiz raised the severity from low to critical"


def test_notes(ana):
    incident = IncidentFactory(status=Status.RESOLVED)
    lifecycle.add_note(incident_id=incident.pk, text="  It was DNS.  ", actor=by(ana))
    assert incident.timeline.get().data == {"text": "It was DNS."}
    with pytest.raises(EmptyNote):
        lifecycle.add_note(incident_id=incident.pk, text="\n", actor=by(ana))


def test_opening_by_hand(ana, clock):
    service = ServiceFactory()
    incident = lifecycle.open_by_hand(
        service=service, title="Checkout is slow", severity=Severity.HIGH, actor=by(ana), note="Seen on TV"
    )
    assert incident.number == Incident.objects.get().number
    kinds = list(incident.timeline.values_list("kind", flat=True))
    assert (kinds[0], kinds[-1]) == (Kind.OPENED, Kind.NOTE)


def test_receiver_that_fails_rolls_the_transition_back(ana):
    def refuse(**kwargs):
        raise RuntimeError("no")

    incident = IncidentFactory()
    signals.incidents_acknowledged.connect(refuse)
    try:
        with pytest.raises(RuntimeError):
            lifecycle.acknowledge(incident_id=incident.pk, actor=by(ana))
    finally:
        signals.incidents_acknowledged.disconnect(refuse)
    incident.refresh_from_db()
    assert incident.status == Status.OPEN
    assert not incident.timeline.exists()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_entry_has_a_sentence(kind):
    data = {
        "count": 5,
        "titles": ["One", "Two"],
        "until": "2026-03-02T12:00:00+00:00",
        "before": "low",
        "after": "high",
        "to": "Bo",
        "policy": "Payments",
        "loop": 1,
        "step": 0,
        "people": ["Ana", "Bo", "Cy"],
        "reason": "it is Sunday",
        "numbers": [7, 9],
        "dependent": "Checkout",
        "services": ["Payments DB", "Search"],
        "user": "Ana",
        "channel": "email",
        "error": "no route",
        "receipt": "delivered",
        "text": "x",
        "ends": 6,
        "quiet_minutes": 10,
        "minutes": 30,
        "words": "the working hours",
        "link": LinkKind.CAUSED_BY,
        "is_other": False,
        "role": "Commander",
        "task": "Look at the disks",
        "item": "Larger disks",
        "state": {
            Kind.POSTMORTEM_MOVED: PostmortemState.PUBLISHED,
            Kind.ACTION_ITEM_MOVED: ActionItemState.DONE,
        }.get(kind, UpdateState.MONITORING),
    }
    entry = timeline.entry(Incident(), kind, actor=SYSTEM, **data)
    assert timeline.sentence(entry).strip()
