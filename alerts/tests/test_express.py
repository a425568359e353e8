import asyncio
import contextlib

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper

from alerts import intake, keys, known
from alerts.enums import EventStatus, Grouping
from alerts.events import AlertEvent
from alerts.express import NAME, Express
from alerts.models import Alert
from alerts.problems import Arrival
from alerts.results import Outcome
from incidents.enums import Severity

from .factories import IntegrationFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]


@pytest.fixture
def integration(monkeypatch):
    """One with an incident that its alerts join without a line for each."""
    monkeypatch.setattr(known, "ENTRIES_ONE_BY_ONE", 0)
    made = keys.authenticate(IntegrationFactory(grouping=Grouping.ALL).key)
    intake.ingest(arrivals(made, 30))
    return made


def event(key, status=EventStatus.FIRING, **fields):
    return AlertEvent(
        dedup_key=key, status=status, title="Disk full", name="Disk full", severity=Severity.HIGH, **fields
    )


def arrivals(integration, count, metadata=None):
    return [
        Arrival(
            integration,
            event(f"key-{n}", metadata=metadata or {}),
        )
        for n in range(count)
    ]


class Way:
    """An Express whose batches can be awaited."""

    def __init__(self):
        self.express = Express()

    async def take(self, batch):
        told = asyncio.get_running_loop().create_future()
        self.express.take(batch, told.set_result)
        return await asyncio.wait_for(told, 20)

    @property
    def backend(self):
        return self.express._connection.info.backend_pid


def with_a_way(story):
    async def run():
        way = Way()
        try:
            await story(way)
        finally:
            way.express.close()

    asyncio.run(run())


def where():
    wanted = connection.get_connection_params()
    return {name: wanted[name] for name in ("host", "port", "user", "dbname") if name in wanted}


async def end(backend):
    """As a restart of the database does."""
    async with await psycopg.AsyncConnection.connect(**where(), autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])


def outcomes(taken):
    return {result.outcome for result in taken}


def test_batches_follow_one_another_on_one_connection(integration):
    async def story(way):
        backends = set()
        for _ in range(3):
            assert outcomes(await way.take(arrivals(integration, 30))) == {Outcome.REPEATED}
            backends.add(way.backend)
        assert len(backends) == 1

    with_a_way(story)
    assert set(Alert.objects.values_list("count", flat=True)) == {4}


def test_batch_that_is_larger_than_any_buffer(integration):
    async def story(way):
        taken = await way.take(arrivals(integration, 1000, {"text": "x" * 5000}))
        assert outcomes(taken) == {Outcome.REPEATED, Outcome.JOINED}

    with_a_way(story)
    assert Alert.objects.count() == 1000


def test_connection_that_was_ended_while_it_rested_is_made_anew(integration):
    async def story(way):
        await way.take(arrivals(integration, 1))
        first = way.backend
        await end(first)
        await asyncio.sleep(0.1)
        assert outcomes(await way.take(arrivals(integration, 1))) == {Outcome.REPEATED}
        assert way.backend != first

    with_a_way(story)
    assert Alert.objects.get(dedup_key="key-0").count == 3


def test_connection_that_is_lost_on_the_way_is_told_and_made_anew(integration):
    async def story(way):
        await way.take(arrivals(integration, 1))
        with contextlib.closing(psycopg.connect(**where())) as other:
            other.execute("SELECT id FROM alerts_alert FOR UPDATE")  # which keeps the batch waiting
            taking = asyncio.ensure_future(way.take(arrivals(integration, 1)))
            await asyncio.sleep(0.2)
            await end(way.backend)
            assert isinstance(await taking, OperationalError)
        assert outcomes(await way.take(arrivals(integration, 1))) == {Outcome.REPEATED}

    with_a_way(story)
    assert Alert.objects.get(dedup_key="key-0").count == 3


def test_statement_that_is_not_prepared_any_more_goes_another_way_once(integration):
    async def story(way):
        await way.take(arrivals(integration, 1))
        way.express._connection.pgconn.exec_(b"DEALLOCATE " + NAME)
        assert await way.take(arrivals(integration, 1)) is None
        assert outcomes(await way.take(arrivals(integration, 1))) == {Outcome.REPEATED}

    with_a_way(story)
    assert Alert.objects.get(dedup_key="key-0").count == 3


def test_pooler_that_keeps_nothing_prepared(integration, monkeypatch):
    wanted = connection.get_connection_params()
    monkeypatch.setattr(
        DatabaseWrapper, "get_connection_params", lambda self: {**wanted, "prepare_threshold": None}
    )

    async def story(way):
        for _ in range(2):
            assert outcomes(await way.take(arrivals(integration, 1))) == {Outcome.REPEATED}
        assert way.express._connection.pgconn.exec_(b"SELECT FROM pg_prepared_statements").ntuples == 0

    with_a_way(story)


def test_database_that_cannot_be_reached_is_told(integration, monkeypatch):
    wanted = connection.get_connection_params()
    monkeypatch.setattr(DatabaseWrapper, "get_connection_params", lambda self: {**wanted, "port": 1})

    async def story(way):
        assert isinstance(await way.take(arrivals(integration, 1)), OperationalError)

    with_a_way(story)


def test_what_is_not_known_goes_another_way(integration):
    async def story(way):
        assert await way.take([Arrival(integration, event("key-0", EventStatus.RESOLVED))]) is None

    with_a_way(story)
