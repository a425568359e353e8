"""Which requests share a transaction."""

import asyncio

import pytest

from alerts.committer import Committer
from alerts.enums import EventStatus
from alerts.events import AlertEvent
from alerts.problems import Arrival
from alerts.tests.factories import IntegrationFactory
from incidents.enums import Severity
from openalert import sql

pytestmark = pytest.mark.django_db(transaction=True)


def arrival(integration, name):
    event = AlertEvent(
        dedup_key=name, status=EventStatus.FIRING, title=name, severity=Severity.LOW, name="Disk"
    )
    return Arrival(integration, event)


def test_requests_that_are_read_in_one_turn_of_the_loop_are_one_batch():
    integration = IntegrationFactory()

    async def send():
        committer = Committer()
        requests = (committer.store([arrival(integration, f"n{number}")]) for number in range(5))
        try:
            return await asyncio.gather(*requests)
        finally:
            committer.close()

    keys = [result.dedup_key for [result] in asyncio.run(send())]
    assert keys == ["n0", "n1", "n2", "n3", "n4"]
    assert sql.fetch("SELECT count(*), count(DISTINCT xmin::text) FROM alerts_alert", []) == [(5, 1)]
