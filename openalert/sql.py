"""Bulk statements: one parameter for each, whatever the number of rows.

PostgreSQL takes a JSON list apart (json_to_recordset) in less time than a client needs to write an array of
each column, so this is how rows go in. Ids travel as text: making a UUID object of each would cost more than
the row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg
from django.db import connection

OTHER_WAYS = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "material", "memoize")
PREFER_INDEXES = "SELECT " + ", ".join(f"set_config('enable_{way}', 'off', true)" for way in OTHER_WAYS)


def fetch(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with _cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def execute(statement: str, parameters: Sequence[Any]) -> int:
    """Returns the number of rows written."""
    with _cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.rowcount


def prefer_indexes() -> None:
    """For the rest of the transaction: reach tables by their indexes, from the few rows of a parameter.

    A plan that is kept was made when the table had another size; one made on an empty table would read all of
    a large one.
    """
    fetch(PREFER_INDEXES, [])


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def as_array(ids: Iterable[str]) -> str:
    """Ids as the text of a PostgreSQL array."""
    return "{" + ",".join(ids) + "}"


def _cursor() -> Any:
    """A cursor whose parameters travel beside the statement, which the server can then keep prepared.

    Django's own puts them into the text.
    """
    connection.ensure_connection()
    cursor: Any = psycopg.Cursor(connection.connection)
    return (
        connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)
    )
