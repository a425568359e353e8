"""Bulk statements: one parameter for each, whatever the number of rows.

PostgreSQL takes a JSON list apart (json_to_recordset) in less time than a client needs to write an array of
each column, so this is how rows go in. Ids travel as text: making a UUID object of each would cost more than
the row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import psycopg
from django.db import connection, models

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


def insert(rows: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
    """What bulk_create does, in a tenth of its time. Rows whose ids the database gives have them afterwards.

    All fields must have their values: nothing is left to the database's defaults.
    """
    if not rows:
        return
    meta = rows[0]._meta
    is_given = not meta.pk.has_default()
    fields = [field for field in meta.concrete_fields if not (is_given and field.primary_key)]
    for row in rows:
        for field in fields:
            if getattr(field, "auto_now", False):
                field.pre_save(row, add=True)
    names = ", ".join(f'"{field.column}"' for field in fields)
    statement = (
        f'INSERT INTO "{meta.db_table}" ({names}) SELECT {names} FROM json_to_recordset(%s::json) '  # noqa: S608
        f"AS k ({_types(fields)})"
    )
    parameters = [_values(rows, fields)]
    if is_given:
        ids = fetch(f'{statement} RETURNING "{meta.pk.column}"', parameters)
        for row, (pk,) in zip(rows, ids, strict=True):
            row.pk = pk
    else:
        execute(f"{statement} ON CONFLICT DO NOTHING" if ignore_conflicts else statement, parameters)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def update(rows: Sequence[models.Model], names: Iterable[str]) -> None:
    """What bulk_update does, in a fraction of its time; the rows should be locked, or all in one order."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [meta.get_field(name) for name in names]
    sets = ", ".join(f'"{field.column}" = k."{field.column}"' for field in fields)
    key = meta.pk.column
    statement = (
        f'UPDATE "{meta.db_table}" t SET {sets} FROM json_to_recordset(%s::json) '  # noqa: S608
        f'AS k ({_types([meta.pk, *fields])}) WHERE t."{key}" = k."{key}"'
    )
    execute(statement, [_values(rows, [meta.pk, *fields])])


def _types(fields: Iterable[Any]) -> str:
    return ", ".join(f'"{field.column}" {field.db_type(connection)}' for field in fields)


def _values(rows: Iterable[models.Model], fields: Sequence[Any]) -> str:
    names = [(field.column, field.attname) for field in fields]
    return as_json([{column: getattr(row, name) for column, name in names} for row in rows])


def _plain(value: Any) -> str:
    """Of text that Django marked as safe, the text."""
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def as_json(value: Any) -> str:
    return _encoder.encode(value).decode()


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
