"""How much memory each process takes, and how much disk alerts and incidents: `make bench-sizes`.

Starts the drill's installation (two of each program, on a PostgreSQL and a Valkey of its own in a temporary folder), lets
alerts come in for a while, and reads what each process has for itself (USS: what would be free if it ended). Then fills the
tables and looks how much the database grew.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.drill.load import Load  # noqa: E402
from bench.drill.stack import Over, Stack  # noqa: E402

SIZE = "SELECT pg_database_size(current_database())"


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def own_mebibytes(pid: int) -> float:
    return sum(process.memory_full_info().uss for process in family(pid)) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30, help="of alerts before memory is read")
    parser.add_argument("--rate", type=float, default=5, help="requests with new alerts a second")
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--incidents", type=int, default=10_000, help="with ten alerts each")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="openalert-bench-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # PostgreSQL does not run as root, and has to get through
        measure(Stack(folder, 1), given)


def measure(stack: Stack, given: argparse.Namespace) -> None:
    def grown(*command: str) -> float:
        """Mebibytes that the database takes more after a command of manage.py."""
        with stack.database(autocommit=True) as database:
            database.execute("VACUUM")
            before = database.execute(SIZE).fetchone()[0]
            subprocess.run(
                [sys.executable, "manage.py", *command],
                cwd=ROOT,
                env=stack.environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            database.execute("VACUUM")
            return (database.execute(SIZE).fetchone()[0] - before) / 2**20

    with stack.running():
        load = Load(stack.scene, stack.ports, 1, given.seconds, given.rate, patience=30)
        client = threading.Thread(target=load.run, daemon=True)
        client.start()

        def wait() -> None:
            if not client.is_alive():
                raise Over

        stack.supervise(wait)
        sizes: dict[str, list[float]] = defaultdict(list)
        for watched in stack.supervisor.watched:
            sizes[watched.name.rstrip("0123456789")].append(own_mebibytes(watched.child.process.pid))
        print("| process | MiB of its own |\n|---|---:|")
        for program, found in sizes.items():
            if program != "provider":
                print(f"| {program} | {statistics.mean(found):.0f} |")
        print("\n| rows | MiB in the database |\n|---|---:|", flush=True)
        for name in (
            "beat",
            "worker1",
            "worker2",
            "sender1",
            "sender2",
        ):  # they would work on what is filled in
            stack.watched(name).child.kill()
        print(
            f"| {given.alerts:,} alerts | {grown('fill_alerts', str(given.alerts)):,.0f} |",
            flush=True,
        )
        incidents = grown("seed_big", "--incidents", str(given.incidents), "--force")
        print(
            f"| {given.incidents:,} incidents with ten alerts, their timelines and pages | {incidents:,.0f} |"
        )


if __name__ == "__main__":
    main()
