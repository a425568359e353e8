"""How long every page takes on a lot of data: the server's time.

Fill an installation first (`manage.py seed_big`), and name its database as OpenAlert itself has it (DATABASE_URL,
REDIS_URL, SECRET_KEY, …). Prints milliseconds: each page is asked for so many times, in this process, without a network.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

import django  # noqa: E402

django.setup()

from django.core.exceptions import ObjectDoesNotExist  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from alerts.models import Integration  # noqa: E402
from escalations.models import EscalationPolicy  # noqa: E402
from incidents.models import Incident  # noqa: E402
from incidents.reports import parts  # noqa: E402
from openalert.tests import every_page  # noqa: E402
from teams.models import Schedule, Service, User  # noqa: E402

PERIODS = (30, 90, 365)


def scene(viewer: User) -> SimpleNamespace:
    """The busiest rows; what the installation has none of is left out."""
    service = Service.objects.annotate(n=Count("incidents")).latest("n")
    incidents = Incident.objects.filter(service=service)
    integration = Integration.objects.filter(service=service).earliest("pk")
    schedule = Schedule.objects.earliest("pk")
    policy = EscalationPolicy.objects.earliest("pk")
    return SimpleNamespace(
        viewer=viewer,
        team=policy.team,
        service=service,
        integration=integration,
        incident=incidents.unresolved().latest("pk"),
        policy=policy,
        schedule=schedule,
        layer=schedule.layers.first(),
        routing_rule=policy.team.routing_rules.first(),
    )


def all_pages(client: Client, viewer: User) -> dict[str, str]:
    """Pages and the fragments that they load, by route."""
    found, rows = {}, scene(viewer)
    for route in every_page.all_routes():
        try:
            path = every_page.path_of(route, rows)
        except (AttributeError, ObjectDoesNotExist):
            continue
        if client.get(path).status_code == HTTPStatus.OK:
            found[route or "/"] = path
    return found


def measure(times: int, ask: Callable[[], object]) -> tuple[float, float, float, int]:
    """Median, 95th percentile and the slowest statement of all runs, in milliseconds; and the number of statements."""
    spent, slowest, count = [], 0.0, 0
    ask()
    for _ in range(times):
        started = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - started) * 1000)
    with CaptureQueriesContext(connection) as queries:
        ask()
    count = len(queries)
    slowest = max((float(query["time"]) for query in queries), default=0) * 1000
    spent.sort()
    return statistics.median(spent), spent[min(len(spent) - 1, int(len(spent) * 0.95))], slowest, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--only", default="", help="a part of the name")
    given = parser.parse_args()
    # As a browser asks for a page, and as htmx asks for the parts of a report.
    client, htmx = (
        Client(SERVER_NAME="localhost"),
        Client(headers={"HX-Request": "true"}, SERVER_NAME="localhost"),
    )
    viewer = User.objects.filter(is_superuser=True).earliest("created_at")
    for each in (client, htmx):
        each.force_login(viewer)

    def get(client: Client, path: str) -> Callable[[], object]:
        def ask() -> None:
            response = client.get(path)
            assert response.status_code == HTTPStatus.OK, (path, response)

        return ask

    pages = {name: get(client, path) for name, path in all_pages(client, viewer).items()}
    newest = Incident.objects.filter(opened_at__gte=timezone.now() - timedelta(days=300)).earliest(
        "opened_at"
    )
    lists = {
        "incidents, all": "/incidents/?state=all",
        "incidents, all, page 100": "/incidents/?state=all&page=100",
        "incidents, resolved critical": "/incidents/?state=resolved&severity=critical",
        "incidents, search a title": "/incidents/?state=all&q=replica+is+behind",
        "incidents, search half a word": "/incidents/?state=all&q=host-99",
        "incidents, search a note": "/incidents/?state=all&q=OPS-4711",
        "incident, resolved": f"/incidents/{newest.number}/",
    }
    pages |= {name: get(client, path) for name, path in lists.items()}
    pages |= {
        f"report {s.slug}, {days} days": get(htmx, f"/reports/{s.slug}/?period={days}")
        for s in parts.sections()
        for days in PERIODS
    }
    print("| page | median ms | p95 ms | slowest statement ms | statements |\n|---|---:|---:|---:|---:|")
    for name, ask in pages.items():
        if given.only not in name:
            continue
        median, p95, slowest, count = measure(given.times, ask)
        print(f"| {name} | {median:,.0f} | {p95:,.0f} | {slowest:,.0f} | {count} |", flush=True)


if __name__ == "__main__":
    main()
