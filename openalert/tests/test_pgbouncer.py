"""The main journey through PgBouncer in transaction mode, which gives each transaction another session."""

import httpx
import psycopg
import pytest

from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from openalert.models import Election
from openalert.tests.pgbouncer import keeps_prepared_statements, running_pgbouncer
from openalert.tests.programs import needs
from openalert.tests.stack import Stack, eventually
from openalert.tests.test_journey import walk


@pytest.fixture
def stack(transactional_db):
    """Web, worker and beat, all through PgBouncer; with statements kept prepared where it is new enough for that."""
    stack = Stack()
    with running_pgbouncer() as url:
        prepares = "yes" if keeps_prepared_statements() else "no"
        stack.environment |= {"DATABASE_URL": url, "DATABASE_PREPARED_STATEMENTS": prepares}
        try:
            stack.start_worker()
            stack.start_beat()
            stack.start_web()
            yield stack
        finally:
            stack.stop()


@pytest.mark.timeout(240)
@needs("pgbouncer", "chromium")
def test_journey_through_pgbouncer(stack, monkeypatch):
    walk(stack, monkeypatch)
    output = "".join(process.output for process in stack.processes)
    assert "prepared statement" not in output
    assert "Traceback" not in output


@pytest.mark.timeout(240)
@needs("pgbouncer")
def test_bulk_elections_and_readiness_through_pgbouncer(stack):
    integration = IntegrationFactory()
    headers = {"Authorization": f"Bearer {integration.key}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client:
        for _ in range(30):  # the same keys again and again: the statement is prepared by now
            alerts = [{"external_id": f"k{n}", "title": f"t{n}", "severity": "low"} for n in range(50)]
            assert client.post("/api/v1/alerts", json=alerts).status_code == 202
    assert set(Alert.objects.values_list("count", flat=True)) == {30}
    eventually(lambda: httpx.get(f"{stack.url}/readyz?strict").status_code == 200, within=40)
    eventually(
        lambda: set(Election.objects.values_list("name", flat=True)) >= {"beat", "self-watch"}, within=20
    )
    with psycopg.connect(stack.environment["DATABASE_URL"], autocommit=True) as through:
        [(version,)] = through.execute("SHOW server_version")
    assert version
