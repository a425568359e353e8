"""Tables as CSV, for spreadsheets: UTF-8 with a mark, instants in ISO 8601, spans in seconds."""

import csv
import io
from datetime import datetime

from .blocks import Link, Seconds, Table

BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet takes what begins so for a formula. Source: OWASP, CSV Injection.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def as_csv(table: Table) -> str:
    has_spans = [any(isinstance(row[i], Seconds) for row in table.rows) for i in range(len(table.columns))]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        f"{column.title} (s)" if spans else column.title
        for column, spans in zip(table.columns, has_spans, strict=True)
    )
    for row in table.rows:
        writer.writerow(_cell(value) for value in row)
    return BYTE_ORDER_MARK + file.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, Seconds):
        return "" if value.value is None else round(value.value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, str | Link):
        text = str(value)
        return f"'{text}" if text.startswith(FORMULAS) else text
    return "" if value is None else value
