"""How long reports, the list of incidents and an incident's page take on a lot of data.

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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

import django  # noqa: E402

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from incidents.models import Incident  # noqa: E402
from incidents.reports import parts  # noqa: E402
from teams.models import User  # noqa: E402

PERIODS = (7, 90, 365)


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
    given = parser.parse_args()
    client = Client(headers={"HX-Request": "true"}, SERVER_NAME="localhost")
    client.force_login(User.objects.filter(is_superuser=True).earliest("created_at"))

    def get(path: str) -> Callable[[], object]:
        def ask() -> None:
            response = client.get(path)
            assert response.status_code == 200, (path, response)

        return ask

    pages = {
        f"report {s.slug}, {days} days": f"/reports/{s.slug}/?period={days}"
        for s in parts.sections()
        for days in PERIODS
    }
    newest = Incident.objects.filter(opened_at__gte=timezone.now() - timedelta(days=300)).earliest(
        "opened_at"
    )
    pages |= {
        "incidents": "/incidents/",
        "incidents, all": "/incidents/?state=all",
        "incidents, all, page 100": "/incidents/?state=all&page=100",
        "incidents, resolved critical": "/incidents/?state=resolved&severity=critical",
        "incidents, search a title": "/incidents/?state=all&q=replica+is+behind",
        "incidents, search half a word": "/incidents/?state=all&q=host-99",
        "incidents, search a note": "/incidents/?state=all&q=OPS-4711",
        "incident": f"/incidents/{newest.number}/",
    }
    print("| page | median ms | p95 ms | slowest statement ms | statements |\n|---|---:|---:|---:|---:|")
    for name, path in pages.items():
        median, p95, slowest, count = measure(given.times, get(path))
        print(f"| {name} | {median:,.0f} | {p95:,.0f} | {slowest:,.0f} | {count} |", flush=True)


if __name__ == "__main__":
    main()
