"""Somebody takes a shift, and gives it back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from teams import overrides
from teams.enums import Role
from teams.exceptions import EndsBeforeStart, NotAResponder, OverrideInThePast, OverrideIsOver
from teams.models import Override
from teams.oncall import on_call
from teams.tests.factories import (
    MembershipFactory,
    OverrideFactory,
    ScheduleFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def ana():
    return UserFactory(name="Ana")


@pytest.fixture
def schedule(clock, ana):
    return ScheduleFactory(team=TeamFactory(responders=[ana]), on_call=[UserFactory(name="Bo")])


def add(schedule, user, starts_at, ends_at):
    return overrides.add_override(schedule=schedule, user=user, starts_at=starts_at, ends_at=ends_at, by=user)


def test_an_override_puts_somebody_on_call(schedule, ana):
    now = timezone.now()
    override = add(schedule, ana, now + HOUR, now + 2 * HOUR)
    assert (override.starts_at, override.created_by) == (now + HOUR, ana)
    assert [str(*on_call(schedule, now + n * HOUR)) for n in range(3)] == ["Bo", "Ana", "Bo"]


def test_a_start_that_has_passed_becomes_now(schedule, ana):
    now = timezone.now()
    assert add(schedule, ana, now - HOUR, now + HOUR).starts_at == now


@pytest.mark.parametrize(
    ("starts", "ends", "failure"),
    [
        (2, 1, EndsBeforeStart),
        (1, 1, EndsBeforeStart),
        (-2, -1, OverrideInThePast),
        (-1, 0, OverrideInThePast),
    ],
)
def test_impossible_times_are_refused(schedule, ana, starts, ends, failure):
    now = timezone.now()
    with pytest.raises(failure) as raised:
        add(schedule, ana, now + starts * HOUR, now + ends * HOUR)
    assert raised.value.field == "ends_at"
    assert not Override.objects.exists()


def test_only_those_who_may_answer_are_put_on_call(schedule):
    now = timezone.now()
    observer = MembershipFactory(team=schedule.team, role=Role.OBSERVER).user
    inactive = MembershipFactory(team=schedule.team, user=UserFactory(is_active=False)).user
    for user in (observer, inactive, UserFactory(), UserFactory(is_superuser=True)):
        with pytest.raises(NotAResponder):
            add(schedule, user, now, now + HOUR)


def test_an_override_that_has_not_begun_is_gone_when_taken_back(schedule):
    override = OverrideFactory(schedule=schedule, starts_at=timezone.now() + HOUR)
    overrides.remove_override(override_id=override.pk)
    assert not Override.objects.exists()


def test_an_override_that_has_begun_ends_when_taken_back(schedule, clock):
    override = OverrideFactory(schedule=schedule)
    clock.advance(minutes=20)
    overrides.remove_override(override_id=override.pk)
    override.refresh_from_db()
    assert override.ends_at == timezone.now()


def test_an_override_that_is_over_stays(schedule, clock):
    override = OverrideFactory(schedule=schedule)
    clock.advance(hours=1)
    with pytest.raises(OverrideIsOver):
        overrides.remove_override(override_id=override.pk)
    assert Override.objects.get().ends_at == override.ends_at
