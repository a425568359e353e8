"""Many alerts of the past, to see how an installation does with a large table."""

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from alerts.models import Integration

BATCH = 50_000
ALERTS_IN_INCIDENT = 500
WIDTH = 40

# Spread over a year before now, so that ids and instants agree. All of it is resolved.
INCIDENTS = """
INSERT INTO incidents_incident (id, created_at, updated_at, service_id, title, severity, status, grouping_key,
    opened_at, last_alert_at, alert_entries, resolved_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text || %(run)s), 1, 3)
        || '8' || substr(md5(n::text || %(run)s), 4, 15))::uuid,
    at, at, %(service)s, 'Filled ' || n, 'low', 'resolved', '', at, at, 0, at
FROM (SELECT n, now() - interval '1 year' * (1 - n::float / %(total)s) - interval '1 day' AS at
      FROM generate_series(%(start)s::bigint, %(end)s::bigint - 1, %(step)s) AS n) AS numbers
RETURNING id
"""
ALERTS = """
INSERT INTO alerts_alert (id, created_at, updated_at, integration_id, incident_id, dedup_key, is_current, status,
    title, severity, source, labels, metadata, count, first_fired_at, last_fired_at, resolved_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text || %(run)s), 1, 3)
        || '9' || substr(md5(n::text || %(run)s), 4, 15))::uuid,
    at, at, %(integration)s, (%(incidents)s::uuid[])[1 + ((n - %(start)s) / %(step)s)], 'filled-' || n, false,
    'resolved', 'High latency on api-' || n %% 1000, 'low', 'prom', '{"a": "true", "b": "true"}',
    '{"tags": ["a", "b"], "integration": "x"}', 1, at, at, at
FROM (SELECT n, now() - interval '1 year' * (1 - n::float / %(total)s) - interval '1 day' AS at
      FROM generate_series(%(start)s::bigint, %(end)s::bigint - 1) AS n) AS numbers
"""


class Command(BaseCommand):
    help = (
        "Fills the alerts of an integration with so many of the past year, all resolved. Not for production."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alerts", type=int)
        parser.add_argument("--integration", help="its id; the first one when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        found = Integration.objects.order_by("created_at")
        if options["integration"]:
            found = found.filter(pk=options["integration"])
        integration = found.first()
        if integration is None or options["alerts"] < 1:
            raise CommandError("Name an integration that is there, and at least one alert.")
        total, run, started = options["alerts"], str(time.time_ns()), time.monotonic()
        for start in range(0, total, BATCH):
            end = min(start + BATCH, total)
            given: dict[str, Any] = {
                "run": run,
                "service": integration.service_id,
                "integration": integration.pk,
                "total": total,
                "start": start,
                "end": end,
                "step": ALERTS_IN_INCIDENT,
            }
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(INCIDENTS, given)
                given["incidents"] = [row[0] for row in cursor.fetchall()]
                cursor.execute(ALERTS, given)
            self.progress(end, total, time.monotonic() - started)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE alerts_alert, incidents_incident")
        self.stdout.write("")

    def progress(self, done: int, total: int, seconds: float) -> None:
        bar = "█" * (WIDTH * done // total)
        left = seconds / done * (total - done)
        line = f"{bar:░<{WIDTH}} {done:,} of {total:,} alerts, {done / seconds:,.0f} a second, {left:,.0f} s left"
        self.stdout.write(line, ending="\r" if sys.stdout.isatty() else "\n")
        self.stdout.flush()
