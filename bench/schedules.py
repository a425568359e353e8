"""How fast schedules are: `python bench/schedules.py`.

On a database of its own, in a temporary folder: a year of a schedule of 5 layers and 20 people (the calculation alone, and
with its loading), and who is on call now in 1,000 schedules, from the query on. Prints
medians and the worst of the rounds, and what of it was this process's work: other work on the machine adds to the first.
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from openalert.embedded.places import Places  # noqa: E402
from openalert.embedded.servers import EmbeddedServers  # noqa: E402

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LAYERS = [
    {"rotation": "weekly"},
    {"rotation": "daily", "hand_over_time": "17:00"},
    {"rotation": "daily", "restrictions": [{"from": "18:00", "to": "08:00", "days": [1, 2, 3, 4, 5]}]},
    {"rotation": "hourly", "turn_length": 12, "restrictions": [{"from_day": 5, "from": "17:00", "to_day": 1, "to": "09:00"}]},
    {"rotation": "monthly", "on_holidays": "on", "holidays_of": "DE"},
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="openalert-schedules-") as folder,
        EmbeddedServers(Places(Path(folder).resolve())),
    ):
        os.environ |= {"OPENALERT_DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "openalert.settings"}
        os.environ |= {"DEBUG": "no"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        run(given.schedules, given.rounds)


def run(count: int, rounds: int) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from teams import oncall
    from teams.models import Schedule
    from teams.queries import with_rotation

    big, many = fill(count)
    gc.collect()
    gc.freeze()  # these two as openalert.asgi does
    gc.set_threshold(50_000, 20, 20)
    year = NOW + timedelta(days=365)
    for name, overrides in (("without overrides", 0), ("with 300 overrides", 300)):
        add_overrides(big, overrides)
        only = Schedule.objects.filter(pk=big.pk)
        loaded = with_rotation(only, start=NOW, end=year).get()
        found = len(oncall.shifts(loaded, NOW, year))
        report(f"a year of 5 layers and 20 people {name}, {found} shifts", rounds, partial(oncall.shifts, loaded, NOW, year))  # fmt: skip
        report("  and its loading", rounds, partial(load_and_shift, only, year))  # fmt: skip
    everything = Schedule.objects.filter(pk__in=many)
    at_once = {"start": NOW, "end": NOW + timedelta(seconds=1)}
    report(f"{count} schedules now, from the query on", rounds, lambda: [oncall.on_call(s, NOW) for s in with_rotation(everything, **at_once)])  # fmt: skip
    report("  loaded for the future too", rounds, lambda: [oncall.on_call(s, NOW) for s in with_rotation(everything, start=NOW)])  # fmt: skip
    loaded_all = list(with_rotation(everything, **at_once))
    report("  of that, the calculation", rounds, lambda: [oncall.on_call(s, NOW) for s in loaded_all])
    for some in (1, 10, count):
        with CaptureQueriesContext(connection) as captured:
            [oncall.on_call(s, NOW) for s in with_rotation(everything, **at_once)[:some]]
        print(f"{some} schedules: {len(captured)} queries")


def load_and_shift(only, year):
    from teams import oncall
    from teams.queries import with_rotation

    return oncall.shifts(with_rotation(only, start=NOW, end=year).get(), NOW, year)


def fill(count: int):
    from teams.models import Layer, Override, Participant, Schedule, Team, User

    users = User.objects.bulk_create(User(name=f"Person {n}", email=f"{n}@example.org") for n in range(300))
    teams = Team.objects.bulk_create(Team(name=f"Team {n}") for n in range(50))
    zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC"]
    many = Schedule.objects.bulk_create(
        Schedule(team=teams[n % 50], name=f"Schedule {n}", time_zone=zones[n % 4]) for n in range(count)
    )
    starts = NOW - timedelta(days=200)
    layers = Layer.objects.bulk_create(
        Layer(schedule=schedule, position=position, starts_at=starts, **LAYERS[position])
        for schedule in many
        for position in (0, 2)
    )
    Participant.objects.bulk_create(
        Participant(layer=layer, user=users[(n + place) % 300], position=place)
        for n, layer in enumerate(layers)
        for place in range(4 if layer.position == 0 else 2)
    )
    Override.objects.bulk_create(
        Override(schedule=schedule, user=users[n % 300], starts_at=NOW + timedelta(days=day), ends_at=NOW + timedelta(days=day, hours=8))
        for n, schedule in enumerate(many)
        for day in (-400, -90, 20)
    )  # fmt: skip
    big = Schedule.objects.create(team=teams[0], name="Big", time_zone="America/New_York")
    for position, values in enumerate(LAYERS):
        layer = Layer.objects.create(schedule=big, position=position, starts_at=starts, **values)
        Participant.objects.bulk_create(
            Participant(layer=layer, user=users[(position + place) % 20], position=place)
            for place in range(20)
        )
    return big, [schedule.pk for schedule in many]


def add_overrides(schedule, count: int) -> None:
    from teams.models import Override, User

    users = list(User.objects.all()[:20])
    Override.objects.bulk_create(
        Override(schedule=schedule, user=users[n % 20], starts_at=NOW + timedelta(hours=29 * n), ends_at=NOW + timedelta(hours=29 * n + 9))
        for n in range(count)
    )  # fmt: skip


def report(what: str, rounds: int, work: Callable[[], object]) -> None:
    work()
    times, busy = [], []
    for _ in range(rounds):
        begun = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - begun[0]) * 1000)
        busy.append((time.process_time() - begun[1]) * 1000)
    print(
        f"{what}: {statistics.median(times):.1f} ms, worst {max(times):.1f} ms; on the CPU {statistics.median(busy):.1f} ms"
    )


if __name__ == "__main__":
    main()
