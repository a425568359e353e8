"""What is a restriction and what is not."""

from datetime import date

import pytest
from django.core.exceptions import ValidationError

from teams.windows import check_holidays_of, check_windows, holidays_in, without

NINE = {"from": "09:00", "to": "17:00"}


@pytest.mark.parametrize(
    "windows",
    [
        [],
        [NINE],
        [{**NINE, "days": [1, 7]}],
        [{"from_day": 5, "from": "17:00", "to_day": 1, "to": "09:00"}],
        [{"from_day": 5, "from": "17:00", "to_day": 5, "to": "09:00"}],
    ],
)
def test_windows(windows):
    check_windows(windows)


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ({}, "list"),
        ([NINE] * 31, "At most"),
        ([NINE, 5], "Window 2"),
        ([{"from": "09:00"}], "“to” is a time"),
        ([{"from": "24:00", "to": "09:00"}], "“from” is a time"),
        ([{"from": 9, "to": "09:00"}], "“from” is a time"),
        ([{**NINE, "days": []}], "“days”"),
        ([{**NINE, "days": [0]}], "“days”"),
        ([{**NINE, "days": [True]}], "“days”"),
        ([{**NINE, "until": 1}], "no “until”"),
        ([{**NINE, "from_day": 1}], "“to_day”"),
        ([{**NINE, "from_day": 1, "to_day": 9}], "“to_day”"),
        ([{**NINE, "from_day": 1, "to_day": 2, "days": [1]}], "no “days”"),
        ([{"from_day": 1, "from": "09:00", "to_day": 1, "to": "09:00"}], "begins when it ends"),
    ],
)
def test_what_is_no_window_is_told(windows, words):
    with pytest.raises(ValidationError) as raised:
        check_windows(windows)
    assert words in raised.value.messages[0]


def test_public_holidays_of_countries_and_their_parts():
    for place in ("DE", "DE-BY", "US-CA"):
        check_holidays_of(place)
    for place in ("", "XX", "DE-", "DE-XX", "de", "DE-BY-1"):
        with pytest.raises(ValidationError):
            check_holidays_of(place)
    epiphany = date(2026, 1, 6)
    assert (epiphany in holidays_in("DE-BY", 2026), epiphany in holidays_in("DE", 2026)) == (True, False)


def test_what_is_left_without_the_holes():
    assert without([(0, 10), (20, 30)], [(2, 3), (8, 22), (25, 40)]) == [(0, 2), (3, 8), (22, 25)]
