"""What is known here of people on call, in the look ahead of schedules."""

import pytest

from notifications import contacts
from notifications.tests.factories import ContactMethodFactory
from teams import coverage, rotations
from teams.tests.cast import Cast
from teams.tests.factories import ScheduleFactory

pytestmark = pytest.mark.django_db


def unreachable(schedule):
    return [f.user for f in coverage.check_schedule(schedule) if f.code == "unreachable"]


def test_people_whom_nothing_reaches_are_found(clock):
    cast = Cast()
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.responder])
    assert unreachable(schedule) == []  # without any method they are given some
    ContactMethodFactory(user=cast.responder, is_enabled=False)
    ContactMethodFactory(user=cast.manager, is_enabled=False)
    assert unreachable(schedule) == [cast.responder]
    rotations.set_fallback(schedule_id=schedule.pk, user=cast.manager)
    assert unreachable(schedule) == [cast.responder, cast.manager]
    other = ContactMethodFactory(user=cast.responder, address="other@example.org")
    assert unreachable(schedule) == [cast.manager]
    contacts.mark_broken(other, reason="no such mailbox", now=clock.now)
    assert unreachable(schedule) == [cast.responder, cast.manager]


def test_people_whose_provider_is_off_are_found(clock, provider):
    cast = Cast()
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.responder])
    ContactMethodFactory(user=cast.responder)
    assert unreachable(schedule) == []
    provider.off = "no account"
    assert unreachable(schedule) == [cast.responder]
