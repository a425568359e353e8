"""The embedded PostgreSQL."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from .binaries import POSTGRES_MAJOR, Binaries
from .errors import EmbeddedError
from .places import DATABASE, Places, owner
from .process import Child, Program, User, end_leftovers

START_SECONDS = 60  # recovery after a crash included
# The C locale that PostgreSQL brings: the same order and case rules on every machine.
LOCALE = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
BARE_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# Only for data that nobody will miss.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def postgres_program(places: Places, binaries: Binaries, user: User | None, *, durable: bool) -> Program:
    """The server on the data folder. It answers on its socket only.

    Whoever reaches the socket is let in without a password: it stands in a folder that nobody but the server's
    user and root can enter.
    """
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(places.postgres_sockets),
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",
        "shared_buffers": "256MB",
        # Fewer checkpoints, and less to write after each: what a storm of alerts costs most is the log.
        "max_wal_size": "2GB",
        "fsync": "on",
        "synchronous_commit": "on",
        **({} if durable else FORGETFUL),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        command=(str(binaries.postgres), "-D", str(places.postgres), *options),
        # Fast shutdown, then immediate: that one recovers from the log at the next start.
        stop_signals=((signal.SIGINT, 20), (signal.SIGQUIT, 5)),
        death_signal=signal.SIGINT,
        user=user,
        folder=places.postgres,
        log=places.log("postgres"),
        environment=BARE_ENVIRONMENT,
    )


def prepare_postgres(places: Places, binaries: Binaries, user: User | None, *, durable: bool) -> None:
    """Make sure that a server can be started on the data folder; the first time, lay it out.

    The lock of `places` must be held: a server that is still at work there is a leftover and is ended.
    Raises EmbeddedError.
    """
    folder = places.postgres
    if folder.exists():
        _check(folder, user)
        end_leftovers(folder, ["postgres"], signal.SIGINT, 20)
        # Nobody is at work here, so the number in it is of the past, even if another process has it now.
        (folder / "postmaster.pid").unlink(missing_ok=True)
    else:
        _lay_out(folder, places.log("postgres"), binaries, user, durable=durable)


def _check(folder: Path, user: User | None) -> None:
    expected = user.uid if user else os.geteuid()
    if owner(folder) != expected:
        raise EmbeddedError(
            f"The database's folder {folder} belongs to the user with the id {owner(folder)}, but PostgreSQL "
            f"would run as the one with the id {expected}. Start OpenAlert as the user who made the folder, or "
            "name another data folder in OPENALERT_DATA_DIR."
        )
    try:
        version = (folder / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        raise EmbeddedError(
            f"{folder} is not a PostgreSQL data folder (it has no PG_VERSION). Move it away to start with an empty "
            "database, bring it back from a backup, or name another data folder in OPENALERT_DATA_DIR."
        ) from None
    if version != POSTGRES_MAJOR:
        raise EmbeddedError(
            f"The database in {folder} was made by PostgreSQL {version}, this OpenAlert brings PostgreSQL "
            f"{POSTGRES_MAJOR}. Dump it with the old version and load it here, move the folder away to start "
            "with an empty database, or name another data folder in OPENALERT_DATA_DIR."
        )


def _lay_out(folder: Path, log: Path, binaries: Binaries, user: User | None, *, durable: bool) -> None:
    # Made beside and renamed when it is whole: a start that was cut short leaves nothing half made.
    draft = folder.with_name("postgres.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user:
        os.chown(draft, user.uid, user.gid)
    command = [str(binaries.initdb), "--pgdata", str(draft), "--username", DATABASE, *LOCALE]
    command += ["--auth-local=trust", "--auth-host=reject", "--no-instructions"]
    result = subprocess.run(  # noqa: S603
        command + ([] if durable else ["--no-sync"]),
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        env=BARE_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise EmbeddedError(explain("PostgreSQL could not lay out its data folder", folder, result.stdout))
    draft.rename(folder)


def wait_for_postgres(child: Child, places: Places, log_start: int) -> None:
    """Return once the server answers and has our database. Raises EmbeddedError if it ends or takes too long;
    `log_start` is where in the log this run began."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with psycopg.connect(
                host=str(places.postgres_sockets), user=DATABASE, dbname="postgres", autocommit=True
            ) as connection:
                _make_database(connection)
            return
        except psycopg.OperationalError as error:
            if child.is_running and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            written = places.log("postgres").read_bytes()[log_start:].decode(errors="replace")
            what = f"PostgreSQL did not start (its log is {places.log('postgres')})"
            raise EmbeddedError(explain(what, places.postgres, written or str(error))) from None


def _make_database(connection: psycopg.Connection) -> None:
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
    if not known:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def explain(what: str, folder: Path, output: str) -> str:
    """A paragraph about a failure, from what the server wrote."""
    if "No space left on device" in output:
        return f"{what}: the disk that holds {folder} is full. Make room there and start again."
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    faults = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "error:"))]
    return f"{what}: " + " ".join((faults or lines)[-3:] or ["it said nothing."])
