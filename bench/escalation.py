"""How the escalation engine keeps its time, `make bench-escalation`.

1. What a tick costs the database while 100,000 runs are armed and none is due, with the plan of its one question.
2. 10,000 runs due in the same second, of teams of very different size, carried out by two worker processes: how long
   it takes until all their pages are written and woken, when the last critical one was, and how long a small team waited.
3. The same on the whole installation (worker, sender, beat as `manage.py up` starts them): until each is handed over.
4. A normal load on the whole installation: how late steps are handed over after they are due.

Servers and data are in a temporary folder, and durable; everything stays on 127.0.0.1.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TEAMS = 200
PEOPLE = 3  # of a team
WORKERS = 2
SHARES = (10, 30, 40, 20)  # percent of the runs: critical, high, medium, low
SETTLES_WITHIN = 120

ARM = """
WITH made AS (
    INSERT INTO incidents_incident (id, created_at, updated_at, service_id, title, severity, status, grouping_key,
        opened_at, last_alert_at, alert_entries)
    SELECT gen_random_uuid(), now(), now(), (%(services)s::uuid[])[1 + n %% cardinality(%(services)s::uuid[])],
        'Failure ' || n,
        CASE WHEN n / 7 %% 100 < 10 THEN 'critical' WHEN n / 7 %% 100 < 40 THEN 'high'
             WHEN n / 7 %% 100 < 80 THEN 'medium' ELSE 'low' END,
        'open', '', now(), now(), 0
    FROM generate_series(1, %(count)s) AS n
    RETURNING id, service_id, severity
)
INSERT INTO escalations_escalationrun (id, created_at, updated_at, incident_id, snapshot, status, priority, lane,
    loop, step, due_at, end_reason)
SELECT gen_random_uuid(), now(), now(), made.id, p.snapshot, 'running',
    array_position(ARRAY['critical', 'high', 'medium', 'low'], made.severity) - 1, s.team_id, 0, 0,
    %(due)s, ''
FROM made JOIN teams_service s ON s.id = made.service_id
JOIN json_to_recordset(%(snapshots)s::json) AS p(team uuid, snapshot jsonb) ON p.team = s.team_id
"""


@contextlib.contextmanager
def installation() -> Iterator[dict[str, str]]:
    """The embedded servers with an empty database; yields the environment of a process that uses them."""
    from openalert.embedded.places import Places
    from openalert.embedded.servers import EmbeddedServers

    with (
        tempfile.TemporaryDirectory(prefix="openalert-escalation-") as folder,
        EmbeddedServers(Places(Path(folder).resolve())),
    ):
        given = {
            "OPENALERT_DATA_DIR": folder,
            "DEBUG": "no",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
            "LOG_LEVEL": "WARNING",
            "PROVIDER_LIMIT_PER_MINUTE": "0",
            "BUNDLE_ABOVE_PER_MINUTE": "0",
        }
        os.environ.update(given)
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, check=True)
        import django

        django.setup()
        yield {**os.environ}


def populate() -> dict[str, Any]:
    """Teams with people who are paged in the app, and what they would be paged by."""
    from django.utils import timezone

    from incidents.enums import Urgency
    from notifications.enums import Channel
    from notifications.models import ContactMethod, NotificationRule
    from teams.models import Membership, Service, Team, User

    now = timezone.now()
    teams = Team.objects.bulk_create(Team(name=f"Team {n}") for n in range(TEAMS))
    users = User.objects.bulk_create(
        User(name=f"Person {n}", email=f"person-{n}@example.org", password="!") for n in range(TEAMS * PEOPLE)
    )
    methods = ContactMethod.objects.bulk_create(
        ContactMethod(user=user, channel=Channel.IN_APP, verified_at=now) for user in users
    )
    NotificationRule.objects.bulk_create(
        NotificationRule(user=method.user, urgency=urgency, contact_method=method)
        for method in methods
        for urgency in Urgency
    )
    Membership.objects.bulk_create(
        Membership(team=teams[n // PEOPLE], user=user) for n, user in enumerate(users)
    )
    services = Service.objects.bulk_create(Service(team=team, name=f"Service of {team}") for team in teams)
    snapshots = [
        {
            "team": str(team.pk),
            "snapshot": {
                "policy": f"Policy of {team}",
                "repeat": 0,
                "steps": [
                    {
                        "delay_seconds": 3600,
                        "targets": [{"kind": "user", "id": str(user.pk), "name": str(user)}],
                    }
                    for user in users[place * PEOPLE : (place + 1) * PEOPLE]
                ],
            },
        }
        for place, team in enumerate(teams)
    ]
    return {"services": services, "snapshots": snapshots}


def arm(world: dict[str, Any], services: list[Any], count: int, *, due_in: timedelta) -> None:
    from django.utils import timezone

    from openalert import sql

    given = {
        "services": sql.as_array(str(service.pk) for service in services),
        "count": count,
        "due": timezone.now() + due_in,
        "snapshots": sql.as_json(world["snapshots"]),
    }
    sql.execute(ARM, given)
    sql.execute("ANALYZE incidents_incident, escalations_escalationrun", [])


def idle_tick(count: int) -> bool:
    """Prints what ticks without work cost."""
    from django.db import connection
    from django.utils import timezone

    from escalations import claims, engine
    from openalert import sql

    spent: list[float] = []

    def measure(execute: Any, statement: Any, params: Any, many: Any, context: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(statement, params, many, context)
        finally:
            spent[-1] += (time.perf_counter() - began) * 1000

    with connection.execute_wrapper(measure):
        for _ in range(220):
            spent.append(0.0)
            assert engine.tick() == 0
    plan = [row[0] for row in sql.fetch("EXPLAIN (ANALYZE, BUFFERS) " + claims.WAITING, [timezone.now()])]
    middle, worst = statistics.median(spent[20:]), max(spent[20:])
    print(
        f"1. {count:,} runs armed, none due: a tick spends {middle:.2f} ms in the database, at worst {worst:.2f} ms"
    )
    print("\n".join(f"      {line}" for line in plan))
    return middle < 5


def work(ready: Any, go: Any) -> None:
    """A worker process: ticks until nothing is due."""
    import django

    django.setup()
    from django.db import connection

    from escalations import engine

    connection.ensure_connection()
    ready.release()
    go.wait()
    engine.tick()


def same_second(world: dict[str, Any], count: int) -> bool:
    """Half of the runs are one team's; prints when they were carried out."""
    from django.db import connection
    from django.utils import timezone

    from incidents.models import TimelineEntry
    from notifications.models import Notification

    arm(world, world["services"][:1], count // 2, due_in=timedelta(hours=1))
    arm(world, world["services"][1:], count // 2, due_in=timedelta(hours=1))
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    workers = [context.Process(target=work, args=(ready, go)) for _ in range(WORKERS)]
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    began = release(count)
    go.set()
    for worker in workers:
        worker.join()
    took = (timezone.now() - began).total_seconds()
    spent = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    pages = Notification.objects.filter(step=0)
    assert pages.count() == count, pages.count()
    # A batch is written at one instant of its worker's, and its entries have their order.
    steps = (
        TimelineEntry.objects.filter(kind="step_reached")
        .order_by("pk")
        .values_list("incident__severity", "incident__service_id")
    )
    order = list(steps)
    last_critical = max(place for place, (severity, _) in enumerate(order) if severity == "critical")
    criticals = sum(severity == "critical" for severity, _ in order)
    big = world["services"][0].pk
    low = [place for place, (severity, _) in enumerate(order) if severity == "low"]
    small_low = [place for place in low if order[place][1] != big]
    print(
        f"2. {count:,} due at once, two workers: all written and woken within {took:.1f} s "
        f"({count / took:,.0f} a second), {spent:.1f} s of processor time of both with their start\n"
        f"      the {criticals:,} critical ones are among the first {last_critical + 1:,}\n"
        f"      half of all are one team's; of the {len(low):,} of low severity, the other teams' are on average the "
        f"{statistics.mean(low.index(p) for p in small_low[:200]):,.0f}th (first 200)"
    )
    connection.close()
    return took < 15 and last_critical < criticals + 2 * 500


def release(count: int) -> Any:
    """Makes so many armed runs due now; returns when."""
    from django.utils import timezone

    from openalert import sql

    now = timezone.now()
    statement = """
        UPDATE escalations_escalationrun SET due_at = %s WHERE step = 0 AND due_at > %s AND due_at < %s
    """
    assert sql.execute(statement, [now, now, now + timedelta(hours=2)]) == count
    return now


@contextlib.contextmanager
def running(environment: dict[str, str]) -> Iterator[None]:
    """Worker, sender and beat, as `manage.py up` starts them."""
    from openalert.management.commands.up import commands

    wanted = {
        name: command
        for name, command in commands(0, 4, takes_mail=False).items()
        if name in ("worker", "sender", "beat")
    }
    children = [
        subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment)
        for command in wanted.values()
    ]
    try:
        time.sleep(8)
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(20)
            child.kill()


def installed(world: dict[str, Any], count: int) -> None:
    """Prints when pages of runs that are due at once were handed over."""
    from notifications.models import Notification

    arm(world, world["services"], count, due_in=timedelta(hours=1))
    Notification.objects.all().delete()
    began = release(count)
    pages = Notification.objects.filter(step=0, sent_at__isnull=False)
    wait_for(lambda: pages.count() >= count)
    late = sorted((at - began).total_seconds() for at in pages.values_list("sent_at", flat=True))
    critical = sorted(
        (at - began).total_seconds()
        for at in pages.filter(incident__severity="critical").values_list("sent_at", flat=True)
    )
    print(
        f"3. {count:,} due at once, whole installation: {len(late):,} handed over, the last after {late[-1]:.1f} s "
        f"(critical: median {statistics.median(critical):.1f} s, last {critical[-1]:.1f} s)"
    )


def normal_load(world: dict[str, Any], a_second: float, seconds: int) -> bool:
    """Incidents come in evenly; prints how late the second step, due three seconds after the first, is handed over."""
    from django.utils import timezone

    from escalations.engine import Beginning, begin
    from incidents.models import Incident
    from notifications.models import Notification

    delay = 3
    opened = []
    began = time.monotonic()
    for n in range(int(a_second * seconds)):
        time.sleep(max(0.0, began + n / a_second - time.monotonic()))
        service = world["services"][n % TEAMS]
        snapshot = world["snapshots"][n % TEAMS]["snapshot"]
        steps = [{**step, "delay_seconds": delay} for step in snapshot["steps"][:2]]
        now = timezone.now()
        incident = Incident(service=service, title="x", severity="high", opened_at=now, last_alert_at=now)
        incident.save()
        begin([Beginning(incident, None, {**snapshot, "steps": steps})], now=now)
        opened.append(incident.pk)
    pages = Notification.objects.filter(incident__in=opened, sent_at__isnull=False, purpose="page")
    wait_for(lambda: pages.count() >= 2 * len(opened))
    first = {page.incident_id: page for page in pages.filter(step=0)}
    # The first is due when its incident was opened; the second, a delay after the first was carried out.
    late = [
        (page.sent_at - first[page.incident_id].due_at).total_seconds() - delay
        for page in pages.filter(step=1)
    ]
    tail = statistics.quantiles(late, n=100, method="inclusive")
    print(
        f"4. {a_second:g} incidents a second for {seconds} s, whole installation: the second step is handed over "
        f"{statistics.median(late):.2f} s after it is due, p99 {tail[98]:.2f} s, at most {max(late):.2f} s"
    )
    return tail[98] < 1.5


def forget() -> None:
    """What the second part woke is not delivered, so that the next ones find nothing waiting."""
    import redis
    from django.conf import settings

    from notifications.models import Notification

    Notification.objects.all().delete()
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.flushall()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + SETTLES_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            print(f"   not all within {SETTLES_WITHIN} s")
            return
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--armed", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=5)
    parser.add_argument("--seconds", type=int, default=30)
    given = parser.parse_args()
    with installation() as environment:
        world = populate()
        arm(world, world["services"], given.armed, due_in=timedelta(days=30))
        kept = [idle_tick(given.armed), same_second(world, given.due)]
        forget()
        with running(environment):
            kept.append(normal_load(world, given.rate, given.seconds))
            installed(world, given.due)
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
