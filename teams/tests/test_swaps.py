"""Somebody asks to be relieved of a shift."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from openalert.exceptions import PermissionMissing
from teams import notices, oncall, queries, swaps
from teams.enums import Role, SwapStatus
from teams.exceptions import (
    EndsBeforeStart,
    NotAResponder,
    NotOnCallThen,
    OverrideInThePast,
    ReturnNeedsSomebody,
    SpanTooLong,
    SwapIsOver,
    SwapWithOneself,
)
from teams.models import Notice, Override, Schedule, ShiftSwap
from teams.tests.factories import (
    LayerFactory,
    MembershipFactory,
    OverrideFactory,
    ScheduleFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def people(db):
    return [UserFactory(name=name) for name in ("ana", "bo", "cy")]


@pytest.fixture
def schedule(clock, people):
    """Ana has this week, bo the next one."""
    return ScheduleFactory(team=TeamFactory(responders=people), on_call=people)


def names(schedule, at):
    loaded = queries.with_rotation(Schedule.objects.filter(pk=schedule.pk)).get()
    return [user.name for user in oncall.on_call(loaded, at)]


def whose(schedule, at):
    loaded = queries.with_rotation(Schedule.objects.filter(pk=schedule.pk)).get()
    return oncall.on_call(loaded, at)


def ask(schedule, by, **given):
    now = timezone.now()
    return swaps.ask(
        **{"schedule": schedule, "by": by, "starts_at": now + DAY, "ends_at": now + DAY + HOUR, **given}
    )


@pytest.fixture
def asker(schedule, clock):
    return whose(schedule, clock.now)[0]


@pytest.fixture
def others(schedule, people, asker):
    """Who has next week, and the third."""
    following = whose(schedule, timezone.now() + 7 * DAY)[0]
    return [following, next(user for user in people if user not in (asker, following))]


def test_an_accepted_request_is_an_override(schedule, asker, others, clock):
    swap = ask(schedule, asker, asked=others[0], note="Dentist")
    assert Notice.objects.get().user == others[0]
    assert "Dentist" in Notice.objects.get().text
    swaps.accept(swap_id=swap.pk, by=others[0])
    swaps.accept(swap_id=swap.pk, by=others[0])
    override = Override.objects.get()
    assert (override.user, override.replaces, override.starts_at) == (others[0], asker, swap.starts_at)
    assert names(schedule, clock.now + DAY) == [others[0].name]
    assert names(schedule, clock.now + DAY + HOUR) == [asker.name]
    assert Notice.objects.filter(user=asker, subject__contains="takes your shift").exists()


def test_a_shift_in_return_makes_two_overrides(schedule, asker, others, clock):
    later = clock.now + 8 * DAY
    swap = ask(schedule, asker, asked=others[0], return_starts_at=later, return_ends_at=later + 2 * HOUR)
    swaps.accept(swap_id=swap.pk, by=others[0])
    assert [names(schedule, at) for at in (clock.now + DAY, later, later + 2 * HOUR)] == [
        [others[0].name],
        [asker.name],
        [others[0].name],
    ]


def test_of_several_on_call_only_the_askers_part_changes_hands(people, clock):
    ana, bo, cy = people
    schedule = ScheduleFactory(team=TeamFactory(responders=people))
    LayerFactory(schedule=schedule, participants=[[ana, bo]])
    swap = ask(schedule, bo, asked=cy)
    swaps.accept(swap_id=swap.pk, by=cy)
    assert names(schedule, clock.now + DAY) == ["ana", "cy"]


def test_anybody_of_the_team_may_accept_an_open_request_and_nobody_else(schedule, asker, others):
    swap = ask(schedule, asker)
    assert set(Notice.objects.values_list("user", flat=True)) == {user.pk for user in others}
    outsider = UserFactory()
    observer = MembershipFactory(team=schedule.team, role=Role.OBSERVER).user
    for user in (outsider, observer, asker):
        with pytest.raises(PermissionMissing):
            swaps.accept(swap_id=swap.pk, by=user)
    assert list(swaps.open_for(others[1])) == [swap]
    assert list(swaps.open_for(observer)) == list(swaps.open_for(asker)) == []
    swaps.accept(swap_id=swap.pk, by=others[1])
    with pytest.raises(SwapIsOver):
        swaps.accept(swap_id=swap.pk, by=others[0])
    assert list(swaps.open_for(others[0])) == []


def test_a_request_is_declined_by_whom_it_asks_and_withdrawn_by_its_asker(schedule, asker, others):
    swap = ask(schedule, asker, asked=others[0])
    with pytest.raises(PermissionMissing):
        swaps.decline(swap_id=swap.pk, by=others[1])
    with pytest.raises(PermissionMissing):
        swaps.withdraw(swap_id=swap.pk, by=others[0])
    swaps.decline(swap_id=swap.pk, by=others[0])
    swaps.decline(swap_id=swap.pk, by=others[0])
    with pytest.raises(SwapIsOver):
        swaps.withdraw(swap_id=swap.pk, by=asker)
    second = ask(schedule, asker, asked=others[0])
    swaps.withdraw(swap_id=second.pk, by=asker)
    with pytest.raises(SwapIsOver):
        swaps.accept(swap_id=second.pk, by=others[0])
    assert not Override.objects.exists()


def test_a_request_expires_when_the_shift_begins(schedule, asker, others, clock):
    swap = ask(schedule, asker, asked=others[0])
    clock.advance(days=1)
    with pytest.raises(SwapIsOver):
        swaps.accept(swap_id=swap.pk, by=others[0])
    assert (swaps.expire(), swaps.expire()) == (1, 0)
    swap.refresh_from_db()
    assert swap.status == SwapStatus.EXPIRED
    assert Notice.objects.filter(user=asker, subject__startswith="Nobody took").count() == 1


def test_what_the_asker_no_longer_has_is_not_swapped(schedule, asker, others, clock):
    swap = ask(schedule, asker, asked=others[0])
    OverrideFactory(schedule=schedule, user=others[1], starts_at=swap.starts_at + HOUR / 2)
    with pytest.raises(NotOnCallThen):
        swaps.accept(swap_id=swap.pk, by=others[0])
    swap.refresh_from_db()
    assert (swap.status, Override.objects.count()) == (SwapStatus.ASKED, 1)


def test_impossible_requests_are_refused(schedule, asker, others, clock):
    now = clock.now
    later = {"return_starts_at": now + 8 * DAY, "return_ends_at": now + 9 * DAY}
    for given, failure, field in [
        ({"ends_at": now + DAY}, EndsBeforeStart, "ends_at"),
        ({"starts_at": now - HOUR}, OverrideInThePast, "starts_at"),
        ({"ends_at": now + 9 * DAY}, NotOnCallThen, "starts_at"),
        ({"ends_at": now + 99 * DAY}, SpanTooLong, "ends_at"),
        ({**later, "asked": others[0], "return_ends_at": now + 999 * DAY}, SpanTooLong, "return_ends_at"),
        ({"asked": asker}, SwapWithOneself, "asked"),
        ({"asked": UserFactory()}, NotAResponder, "asked"),
        (later, ReturnNeedsSomebody, "asked"),
        ({**later, "asked": others[0], "return_ends_at": None}, EndsBeforeStart, "return_ends_at"),
        ({**later, "asked": others[1]}, NotOnCallThen, "return_starts_at"),
        ({"expires_at": now}, OverrideInThePast, "expires_at"),
    ]:
        with pytest.raises(failure) as raised:
            ask(schedule, asker, **given)
        assert raised.value.field == field
    with pytest.raises(NotOnCallThen):
        ask(schedule, others[0])
    assert not ShiftSwap.objects.exists()


def test_whoever_is_asked_gets_a_mail(schedule, asker, others, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    ask(schedule, asker, asked=others[0])
    assert notices.send_due() == 1
    assert (mail.outbox[0].to, "/on-call/mine/" in mail.outbox[0].body) == ([others[0].email], True)
