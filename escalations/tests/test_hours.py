"""Hours of the week on local clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalations import hours
from escalations.exceptions import InvalidHours

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(*parts):
    return datetime(*parts, tzinfo=BERLIN)


def window(begins, ends, *weekdays):
    return hours.read({"from": begins, "until": ends, "weekdays": list(weekdays)})


@pytest.mark.parametrize(
    ("read", "at", "covered"),
    [
        (window("09:00", "17:00"), berlin(2026, 3, 2, 9), True),
        (window("09:00", "17:00"), berlin(2026, 3, 2, 17), False),
        (window("09:00", "17:00", "tue"), berlin(2026, 3, 2, 9), False),
        (window("22:00", "06:00", "mon"), berlin(2026, 3, 3, 5, 59), True),
        (window("22:00", "06:00", "mon"), berlin(2026, 3, 2, 5, 59), False),
        (window("22:00", "06:00", "mon"), berlin(2026, 3, 2, 22), True),
        (window("08:00", "08:00", "sun"), berlin(2026, 3, 2, 7, 59), True),
        (window("08:00", "08:00", "sun"), berlin(2026, 3, 2, 8), False),
    ],
)
def test_what_a_window_covers(read, at, covered):
    assert read.covers(at, BERLIN) is covered


def test_the_next_beginning_is_on_local_clocks_across_a_change():
    week = hours.read_week({day: {"from": "09:00", "until": "17:00"} for day in ("mon", "fri")})
    # The clocks go forward on Sunday the 29th.
    assert hours.next_beginning(week, berlin(2026, 3, 27, 17), BERLIN) == datetime(2026, 3, 30, 7, tzinfo=UTC)
    assert hours.next_beginning(week, berlin(2026, 3, 20, 17), BERLIN) == datetime(2026, 3, 23, 8, tzinfo=UTC)
    assert hours.next_beginning([], berlin(2026, 3, 20, 17), BERLIN) is None


@given(
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60 - 1),
    st.sets(st.sampled_from(hours.WEEKDAYS), min_size=1),
    st.integers(0, 7 * 24 * 60),
)
def test_nothing_is_covered_before_the_next_beginning(begins, ends, days, minute):
    """Against a walk through the week, minute by minute, in a zone without changes."""
    zone = ZoneInfo("Asia/Kolkata")
    read = window(f"{begins // 60:02}:{begins % 60:02}", f"{ends // 60:02}:{ends % 60:02}", *days)
    at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=minute)
    if read.covers(at, zone):
        return
    walked = at
    while not read.covers(walked, zone):
        walked += timedelta(minutes=1)
    assert hours.next_beginning([read], at, zone) == walked


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], None),
        ({"from": "09:00"}, "until"),
        ({"from": "9:00", "until": "17:00"}, "from"),
        ({"from": "09:00", "until": "24:00"}, "until"),
        ({"from": "09:00", "until": 17}, "until"),
        ({"from": "09:00", "until": "17:00", "weekdays": ["monday"]}, "weekdays"),
        ({"from": "09:00", "until": "17:00", "weekdays": "mon"}, "weekdays"),
        ({"from": "09:00", "until": "17:00", "at": 1}, None),
    ],
)
def test_what_are_no_hours(value, field):
    with pytest.raises(InvalidHours) as caught:
        hours.read(value)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, None),
        ({"someday": {}}, None),
        ({"mon": None}, "mon"),
        ({"mon": {"from": "09:00", "until": "x"}}, "mon.until"),
    ],
)
def test_what_is_no_week(value, field):
    with pytest.raises(InvalidHours) as caught:
        hours.read_week(value)
    assert caught.value.field == field
