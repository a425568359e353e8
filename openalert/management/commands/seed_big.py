"""`manage.py seed_big`: a year of a busy company, to see how pages and reports do with a lot of data. Not for production."""

# ruff: noqa: S608  # nothing but our own words

import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from alerts import noise
from alerts.models import Integration
from notifications import counted_pages
from openalert import demo
from teams.enums import Role
from teams.models import Membership, Service, Team, User

BATCH = 2_000
WIDTH = 40
TEAMS, SERVICES, PEOPLE = 10, 100, 50
ALERTS_IN_INCIDENT = 10

# An id of version 7 for the instant `at`; `salt` tells apart what comes in the same millisecond.
ID = """(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7' || substr(md5({salt}), 1, 3)
    || '8' || substr(md5({salt}), 4, 15))::uuid"""

NUMBERS = f"""
CREATE TEMPORARY TABLE seeded ON COMMIT DROP AS
SELECT n, {ID.format(at="at", salt="%(run)s || 'incident' || n")} AS id, at,
    at + interval '1 second' * (20 + 900 * power(random(), 3)) AS acknowledged_at,
    at + interval '1 second' * (1000 + 20000 * power(random(), 2)) AS resolved_at,
    (%(services)s::uuid[])[1 + floor(power(random(), 2) * array_length(%(services)s::uuid[], 1))::int] AS service_id,
    (%(integrations)s::uuid[])[1] AS integration_id,
    (%(people)s::uuid[])[1 + floor(random() * array_length(%(people)s::uuid[], 1))::int] AS person_id,
    (ARRAY['critical', 'high', 'high', 'medium', 'medium', 'low'])[1 + floor(random() * 6)::int] AS severity,
    (ARRAY['Checkout answers slowly', 'Disk is nearly full', 'Replica is behind', 'Certificate ends soon',
        'Queue grows', 'Node is not ready', 'Error rate is high', 'No connections left', 'Backup failed',
        'Latency is above its objective'])[1 + floor(random() * 10)::int] || ' on host-' || n %% 997 AS title
FROM (
    SELECT n, now() - interval '1 year' * (1 - n::float / %(total)s) - interval '1 minute' AS at
    FROM generate_series(%(start)s::bigint, %(end)s::bigint - 1) AS n
) numbers
"""
STATEMENTS = [
    # Which integration: that of the service.
    "UPDATE seeded SET integration_id = i.id FROM alerts_integration i WHERE i.service_id = seeded.service_id",
    """
    INSERT INTO incidents_incident (id, created_at, updated_at, service_id, title, severity, status, grouping_key,
        opened_at, last_alert_at, alert_entries, acknowledged_at, acknowledged_by_id, first_acknowledged_at,
        first_acknowledged_by_id, assigned_to_id, resolved_at, resolved_by_id)
    SELECT id, at, resolved_at, service_id, title, severity,
        CASE WHEN is_over THEN 'resolved' WHEN is_seen THEN 'acknowledged' ELSE 'open' END, md5(title), at, at, 1,
        CASE WHEN is_seen THEN acknowledged_at END, CASE WHEN is_seen THEN person_id END,
        CASE WHEN is_seen THEN acknowledged_at END, CASE WHEN is_seen THEN person_id END,
        CASE WHEN is_seen THEN person_id END, CASE WHEN is_over THEN resolved_at END,
        CASE WHEN is_over THEN person_id END
    FROM (SELECT *, n %% 10 > 0 AND acknowledged_at < now() AS is_seen, n < %(total)s - 500 AND resolved_at < now() AS is_over
          FROM seeded) s
    """,
    f"""
    INSERT INTO alerts_alert (id, created_at, updated_at, integration_id, incident_id, dedup_key, is_current, status,
        title, severity, source, labels, metadata, count, first_fired_at, last_fired_at, resolved_at)
    SELECT {ID.format(at="s.at + interval '1 second' * k", salt="%(run)s || 'alert' || n || '/' || k")}, s.at, s.at,
        s.integration_id, s.id, split_part(s.title, ' on ', 1) || '/' || k, false, 'resolved', s.title, s.severity, 'host-' || n %% 997,
        '{{"cluster": "eu-1"}}', '{{}}', 1 + (n * k) %% 30, s.at, s.at + interval '5 minutes', s.at + interval '10 minutes'
    FROM seeded s CROSS JOIN generate_series(1, %(alerts)s) AS k
    """,
    """
    INSERT INTO incidents_timelineentry (incident_id, at, kind, actor_kind, actor_id, actor_name, via, data)
    SELECT s.id, t.at, t.kind, t.who, CASE WHEN t.who = 'user' THEN s.person_id END, t.name, '', t.data
    FROM seeded s CROSS JOIN LATERAL (VALUES
        (s.at, 'opened', 'integration', 'Monitoring', jsonb_build_object('severity', s.severity, 'count', 1, 'titles', ARRAY[s.title])),
        (s.acknowledged_at, 'acknowledged', 'user', 'Somebody', '{}'::jsonb),
        (s.resolved_at - interval '30 seconds', 'note', 'user', 'Somebody', jsonb_build_object('text',
            (ARRAY['Rolled the release back.', 'The provider had a fault.', 'Raised the limit.', 'Restarted the node.',
             'Cleaned up old backups.'])[1 + n %% 5] || ' Ticket OPS-' || n)),
        (s.resolved_at, 'resolved', 'user', 'Somebody', '{}'::jsonb),
        (s.at + interval '20 minutes', CASE WHEN n %% 150 = 0 THEN 'escalation_exhausted' WHEN n %% 151 = 0 THEN 'nobody_to_page' END,
            'system', 'OpenAlert', '{"policy": "First line", "reason": "nobody is on call", "told": []}'::jsonb)
    ) AS t(at, kind, who, name, data)
    WHERE t.kind IS NOT NULL AND t.at < now()
    """,
    f"""
    INSERT INTO notifications_notification (id, created_at, updated_at, purpose, user_id, incident_id, channel, address,
        run_id, loop, step, priority, status, due_at, wake_at, attempt_count, last_error, sent_at)
    SELECT {ID.format(at="s.at", salt="%(run)s || 'page' || n || '/' || k")}, s.at, s.at, 'page', s.person_id, s.id,
        (ARRAY['email', 'in_app'])[k], CASE WHEN k = 1 THEN 'x@example.org' ELSE '' END,
        {ID.format(at="s.at", salt="%(run)s || 'run' || n")}, 0, 0, 0,
        CASE WHEN n %% 200 = 0 AND k = 1 THEN 'dead' ELSE 'sent' END, s.at, s.at, CASE WHEN n %% 40 = 0 THEN 2 ELSE 1 END,
        CASE WHEN n %% 200 = 0 AND k = 1 THEN 'no mail server took it: timed out' ELSE '' END,
        CASE WHEN n %% 200 = 0 AND k = 1 THEN NULL ELSE s.at + interval '1 second' END
    FROM seeded s CROSS JOIN generate_series(1, 2) AS k
    """,
]


class Command(BaseCommand):
    help = (
        "Fills an installation with a year of incidents, their alerts, stories and pages. Not for production."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--incidents", type=int, default=100_000)
        parser.add_argument("--force", action="store_true", help="also with servers of one's own")
        parser.add_argument("--alerts", type=int, default=ALERTS_IN_INCIDENT, help="of each incident")

    def handle(self, *args: Any, incidents: int, alerts: int, force: bool, **options: Any) -> None:
        if not (settings.EMBEDDED or force):
            raise CommandError("This is for trying out: say --force if that is what you want.")
        if incidents < 1 or alerts < 1:
            raise CommandError("At least one incident, and at least one alert of each.")
        given = {**self.company(), "run": str(time.time_ns()), "total": incidents, "alerts": alerts}
        started = time.monotonic()
        for start in range(0, incidents, BATCH):
            given |= {"start": start, "end": min(start + BATCH, incidents)}
            with transaction.atomic(), connection.cursor() as cursor:
                # Nobody is to be told of all this as if it happened now.
                cursor.execute("SET LOCAL session_replication_role = replica")
                for statement in [NUMBERS, *STATEMENTS]:
                    cursor.execute(statement, given)
            self.progress(given["end"], incidents, alerts, time.monotonic() - started)
        with connection.cursor() as cursor:
            for table in (
                "incidents_incident",
                "incidents_timelineentry",
                "alerts_alert",
                "notifications_notification",
            ):
                cursor.execute(f"VACUUM ANALYZE {table}")
        noise.count_months()
        counted_pages.forget_all()  # the triggers were off
        counted_pages.count_months()
        self.stdout.write("")

    @transaction.atomic
    def company(self) -> dict[str, Any]:
        """Teams, services, integrations and people for it; whoever runs the demo sees all of them as Carla."""
        demo.seed()
        mark = time.strftime("%H%M%S")
        people = User.objects.bulk_create(
            User(
                email=f"person-{n}-{mark}@big.example.org",
                name=f"Person {n}",
                time_zone="Europe/Berlin" if n % 2 else "America/New_York",
            )
            for n in range(PEOPLE)
        )
        teams = Team.objects.bulk_create(Team(name=f"Team {mark}-{n}") for n in range(TEAMS))
        Membership.objects.bulk_create(
            Membership(team=teams[n % TEAMS], user=person, role=Role.RESPONDER)
            for n, person in enumerate(people)
        )
        services = Service.objects.bulk_create(
            Service(team=teams[n % TEAMS], name=f"Service {mark}-{n}") for n in range(SERVICES)
        )
        for service in services:
            integration = Integration(service=service, name=f"{service.name} monitors")
            integration.set_key()
            integration.save()
        integrations = Integration.objects.filter(service__in=services)
        return {
            "services": [service.pk for service in services],
            "integrations": [integration.pk for integration in integrations],
            "people": [person.pk for person in people],
        }

    def progress(self, done: int, total: int, alerts: int, seconds: float) -> None:
        bar = "█" * (WIDTH * done // total)
        left = seconds / done * (total - done)
        line = (
            f"{bar:░<{WIDTH}} {done:,} of {total:,} incidents, {done * alerts:,} alerts, {left:,.0f} s left "
        )
        self.stdout.write(line, ending="\r" if sys.stdout.isatty() else "\n")
        self.stdout.flush()
