from datetime import timedelta

import pytest

from openalert.words import listed, span_in_words


@pytest.mark.parametrize(
    ("names", "words"), [([], ""), (["Ana"], "Ana"), (["Ana", "Bo"], "Ana and Bo"), ("abc", "a, b and c")]
)
def test_names_are_listed(names, words):
    assert listed(names) == words


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(minutes=45), "45 min"),
        (timedelta(minutes=60), "1 h"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(hours=24), "24 h"),
        (timedelta(hours=48), "2 days"),
        (timedelta(days=2, hours=4), "2 days 4 h"),
        (timedelta(days=7), "7 days"),
        (timedelta(hours=49, minutes=5), "2 days 1 h 5 min"),
        (timedelta(seconds=3599), "1 h"),
        (timedelta(0), "0 min"),
    ],
)
def test_spans_in_words(span, words):
    assert span_in_words(span) == words
