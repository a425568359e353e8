"""How many alerts an incident has."""

import pytest

from alerts import counts
from alerts.counts import Counts, counts_of
from alerts.tests.factories import AlertFactory
from incidents.tests.factories import IncidentFactory


@pytest.mark.parametrize(
    ("total", "firing", "words", "state"),
    [
        (0, 0, "0 alerts", "none"),
        (1, 1, "1 alert", "1 firing"),
        (12, 0, "12 alerts", "all resolved"),
        (12, 3, "3 of 12 alerts firing", "3 of 12 firing"),
        (1000, 1000, "1,000 alerts", "1,000 firing"),
        (1001, 1001, "1,000+ alerts", "1,000+ firing"),
        (1001, 3, "3 of 1,000+ alerts firing", "3 of 1,000+ firing"),
    ],
)
def test_words(total, firing, words, state):
    assert (Counts(total, firing).words, Counts(total, firing).state) == (words, state)


def test_counts_stop_where_they_would_take_long(db, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(counts, "MOST_COUNTED", 3)
    many, few, none = IncidentFactory.create_batch(3)
    AlertFactory.create_batch(6, incident=many)
    AlertFactory.create_batch(2, incident=few)
    AlertFactory(incident=few, status="resolved")
    with django_assert_num_queries(1):
        found = counts_of([many.pk, few.pk, none.pk])
    assert found == {many.pk: (4, 4), few.pk: (3, 2), none.pk: (0, 0)}
    assert found[many.pk].words == "3+ alerts"
