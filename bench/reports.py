"""How long every report takes over a week, a month, a quarter and a year: the server's time for the section as htmx asks for it.

Fill an installation first (`manage.py seed_big`), and name its database as OpenAlert itself has it (DATABASE_URL,
REDIS_URL, SECRET_KEY, …). Prints milliseconds, and fails when a median is over the limit.
"""

import argparse
import os
import statistics
import sys
from functools import partial
from http import HTTPStatus
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

import django  # noqa: E402

django.setup()

from django.test import Client  # noqa: E402
from timing import milliseconds, p95  # noqa: E402

from incidents.reports import parts  # noqa: E402
from teams.models import User  # noqa: E402

PERIODS = {"week": 7, "month": 30, "quarter": 90, "year": 365}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--limit", type=int, default=200, help="milliseconds of a median")
    given = parser.parse_args()
    client = Client(headers={"HX-Request": "true"}, SERVER_NAME="localhost")
    client.force_login(User.objects.filter(is_superuser=True).earliest("created_at"))
    print("| report, median (p95) in ms | " + " | ".join(PERIODS) + " |\n|---|" + "---:|" * len(PERIODS))
    slow = []
    for section in parts.sections():
        cells = []
        for period, days in PERIODS.items():
            path = f"/reports/{section.slug}/?period={days}"
            if (status := client.get(path).status_code) != HTTPStatus.OK:
                sys.exit(f"{path}: {status}")
            spent = milliseconds(partial(client.get, path), given.times)
            median = statistics.median(spent)
            cells.append(f"{median:,.0f} ({p95(spent):,.0f})")
            if median > given.limit:
                slow.append(f"{section.slug}, {period}: {median:,.0f} ms")
        print(f"| {section.slug} | {' | '.join(cells)} |", flush=True)
    if slow:
        sys.exit("Over the limit: " + "; ".join(slow))


if __name__ == "__main__":
    main()
