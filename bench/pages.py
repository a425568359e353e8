"""How long every page takes on a lot of data: the server's time, 100 ms at most at the 95th percentile.

Fill an installation first (`manage.py seed_big`), and name its database as OpenAlert itself has it (DATABASE_URL,
REDIS_URL, SECRET_KEY, …). Each page and each fragment is asked for so many times, in this process, without a network.
Prints milliseconds, and fails when one is over the limit. Rows that a page needs are made for it and rolled back.
The sections of the reports have a program of their own (reports.py).
"""

import argparse
import gc
import os
import statistics
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

import django  # noqa: E402

django.setup()

from django.apps import apps  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402
from timing import milliseconds, p95  # noqa: E402

from alerts.enums import Source  # noqa: E402
from alerts.models import Integration  # noqa: E402
from escalations.tests.factories import RunFactory  # noqa: E402
from incidents.models import Incident, Postmortem  # noqa: E402
from openalert.tests import every_page  # noqa: E402
from teams.models import Service  # noqa: E402

OF_REPORTS = "reports/<slug:slug>/"


def scene() -> every_page.Scene:
    """A row of everything that a page is about: the busiest service, its integration, one of its open incidents."""
    found = every_page.Scene.make()
    found.service = Service.objects.annotate(n=Count("incidents")).latest("n")
    found.integration = Integration.objects.filter(service=found.service).earliest("pk")
    found.incident = Incident.objects.filter(service=found.service).unresolved().latest("pk")
    # Only one of these has pages about its fields.
    found.integration.source = Source.GENERIC
    found.integration.save(update_fields=["source"])
    RunFactory(
        incident=found.incident, policy=found.policy, priority=0, due_at=timezone.now() + timedelta(hours=1)
    )
    Postmortem.objects.create(incident=found.incident, body="## What happened", edited_at=timezone.now())
    found.grow()
    found.rule = found.integration.rules.latest("pk")
    return found


def places(found: every_page.Scene) -> Iterator[tuple[str, str]]:
    """Names and paths of what may be a page."""
    for route in every_page.routes(found):
        if not route.route.startswith(OF_REPORTS):
            yield route.route or "/", route.path
    for route in every_page.walk():
        if route.startswith("admin/") and (path := admin_path(route)):
            yield route, path
    newest = Incident.objects.filter(opened_at__gte=timezone.now() - timedelta(days=300)).earliest(
        "opened_at"
    )
    yield from {
        "incidents, unresolved": "/incidents/",
        "incidents, all, page 100": "/incidents/?state=all&page=100",
        "incidents, resolved critical": "/incidents/?state=resolved&severity=critical",
        "incidents, of a service": f"/incidents/?state=all&service={found.service.pk}",
        "incidents, of a team, 30 days": f"/incidents/?state=all&team={found.service.team_id}&days=30",
        "incidents, search a title": "/incidents/?state=all&q=replica+is+behind",
        "incidents, search half a word": "/incidents/?state=all&q=host-99",
        "incidents, search two letters": "/incidents/?state=all&q=ho",
        "incidents, search a note": "/incidents/?state=all&q=OPS-4711",
        "incidents, search in vain": "/incidents/?state=all&q=nowhere-to-be-found",
        "incidents, search unresolved": "/incidents/?q=replica",
        "incident, resolved": f"/incidents/{newest.number}/",
    }.items()


def admin_path(route: str) -> str | None:
    """With the newest row, where the route is about one; None where there is none, or the page is for programs."""
    if "(" in route or "<" in route.replace("<path:object_id>", ""):
        return None
    if "<path:object_id>" in route:
        _, app, model, *_ = route.split("/")
        if (newest := apps.get_model(app, model)._default_manager.order_by("pk").last()) is None:
            return None
        route = route.replace("<path:object_id>", str(newest.pk))
    return f"/{route}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--limit", type=int, default=100, help="milliseconds of the 95th percentile")
    parser.add_argument("--only", default="", help="a part of the name")
    given = parser.parse_args()
    with transaction.atomic():
        slow = measure(given.times, given.limit, given.only)
        transaction.set_rollback(True)
    if slow:
        sys.exit("Over the limit: " + "; ".join(slow))


def measure(times: int, limit: int, only: str) -> list[str]:
    """Print a line for each page; return those over the limit."""
    found = scene()
    client = Client(SERVER_NAME="localhost")
    client.force_login(found.viewer)
    slow = []
    gc.collect()
    gc.freeze()  # these two as openalert.asgi does
    gc.set_threshold(50_000, 20, 20)
    print("| page | median ms | p95 ms | slowest statement ms | statements |\n|---|---:|---:|---:|---:|")
    for name, path in places(found):
        if only not in name:
            continue
        status = client.get(path).status_code
        # Records cannot be changed in the admin.
        if status in every_page.ANSWERS_OF_OTHERS or (
            status == HTTPStatus.FORBIDDEN and path.startswith("/admin/")
        ):
            continue
        if status != HTTPStatus.OK:
            sys.exit(f"{path}: {status}")
        ask = partial(client.get, path)
        spent = milliseconds(ask, times)
        with CaptureQueriesContext(connection) as queries:
            ask()
        slowest = max((float(query["time"]) for query in queries), default=0) * 1000
        late = p95(spent)
        print(
            f"| {name} | {statistics.median(spent):,.0f} | {late:,.0f} | {slowest:,.0f} | {len(queries)} |",
            flush=True,
        )
        if late > limit:
            slow.append(f"{name}: {late:,.0f} ms")
    return slow


if __name__ == "__main__":
    main()
