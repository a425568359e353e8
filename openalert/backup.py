"""Backing up, restoring and comparing databases, by PostgreSQL's own programs.

A dump is one file in pg_dump's custom format: consistent, of one moment, made while everything runs. What is in unlogged
tables stays out: it is the numbering of live events, and must begin anew after a restore.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from openalert.embedded.binaries import find_binaries
from openalert.embedded.errors import EmbeddedError

DUMP = ("--format=custom", "--no-owner", "--no-privileges", "--no-unlogged-table-data")
RESTORE = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")

Database = Mapping[str, Any]


class BackupError(Exception):
    """The words say what failed."""


def dump(database: Database, to: Path) -> None:
    """Write the whole database to a new file. `database` is an entry of Django's DATABASES. Raises BackupError."""
    if to.exists():
        raise BackupError(f"{to} is there already.")
    draft = to.with_name(f"{to.name}.part")
    try:
        draft.touch(mode=0o600)  # it holds everything
        _run("pg_dump", *DUMP, f"--file={draft}", database=database)
        draft.rename(to)  # a dump that was cut short has no such name
    except OSError as error:
        raise BackupError(f"{to} cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def restore(database: Database, from_file: Path) -> None:
    """Fill an empty database from a dump, whole or not at all. Raises BackupError, also when it is not empty."""
    if not from_file.is_file():
        raise BackupError(f"There is no file {from_file}.")
    with _connect(database) as connection:
        if tables := _tables(connection):
            raise BackupError(
                f"The database {database['NAME']} is not empty: it has {len(tables)} tables. "
                "Restore into a new one (createdb), and let DATABASE_URL name it."
            )
    _run("pg_restore", *RESTORE, f"--dbname={database['NAME']}", str(from_file), database=database)
    with _connect(database) as connection:
        connection.execute("ANALYZE")


def digests(database: Database) -> dict[str, tuple[int, str]]:
    """By table: how many rows, and a digest of them whatever their order. Unlogged tables are left out.

    Two databases with the same digests hold the same. Takes as long as reading all of it. Raises BackupError.
    """
    with _connect(database) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        return {table: _digest(connection, table) for table in _tables(connection)}


def _digest(connection: psycopg.Connection, table: str) -> tuple[int, str]:
    """The rows' own digests added up, so that their order does not count and nothing has to be sorted."""
    count, total = 0, 0
    query = sql.SQL("SELECT decode(md5(t::text), 'hex') FROM {} t").format(sql.Identifier(table))
    with connection.cursor(name="rows") as cursor:
        cursor.itersize = 10_000
        cursor.execute(query)
        for (digest,) in cursor:
            count += 1
            total = (total + int.from_bytes(digest)) % 2**128
    return count, hashlib.sha256(total.to_bytes(16)).hexdigest()[:16]


def _tables(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
        "AND relkind IN ('r', 'p') AND relpersistence = 'p' ORDER BY relname"
    )
    return [name for (name,) in rows]


def _connect(database: Database) -> psycopg.Connection:
    try:
        return psycopg.connect(
            dbname=database["NAME"],
            user=database["USER"] or None,
            password=database["PASSWORD"] or None,
            host=database["HOST"] or None,
            port=database["PORT"] or None,
            autocommit=True,
            connect_timeout=10,
        )
    except psycopg.Error as error:
        raise BackupError(f"The database cannot be reached: {error}") from error


def _run(program: str, *arguments: str, database: Database) -> None:
    names = {
        "PGHOST": "HOST",
        "PGPORT": "PORT",
        "PGUSER": "USER",
        "PGPASSWORD": "PASSWORD",
        "PGDATABASE": "NAME",
    }
    variables = {name: str(database[key]) for name, key in names.items() if database.get(key)}
    result = subprocess.run(  # noqa: S603
        [find_program(program), "--no-password", *arguments],
        env={**os.environ, **variables},  # a password in the arguments could be read by everybody
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise BackupError(f"{program} failed: {result.stderr.strip()}")


def find_program(name: str, which: Callable[[str], str | None] = shutil.which) -> str:
    """PostgreSQL's program: the embedded server's own, which is new enough for it, or the one on the PATH.

    Raises BackupError.
    """
    try:
        beside = find_binaries(None).postgres.with_name(name)
    except (EmbeddedError, StopIteration):
        beside = None
    if beside and beside.exists():
        return str(beside)
    if found := which(name):
        return found
    raise BackupError(f"There is no {name}. It comes with PostgreSQL's client programs.")
