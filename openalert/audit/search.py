"""Reading the audit log: who may, what is looked for, and its lines as programs want them."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_ipv46_address
from django.db.models import Q, QuerySet
from django.utils import timezone

from openalert import sql
from openalert.models import AuditEntry

BATCH = 1000
# The columns of exports, in order.
COLUMNS = (
    "id", "at", "actor_kind", "actor_id", "actor_name", "via", "address", "action", "object_type", "object_id",
    "object_name", "changes", "data", "correlation_id",
)  # fmt: skip
# Each different value in one step of the index that begins with it, however many lines have it.
VALUES = """
WITH RECURSIVE found AS (
    (SELECT {0} AS value FROM openalert_auditentry ORDER BY {0} LIMIT 1)
    UNION ALL
    SELECT (SELECT {0} FROM openalert_auditentry WHERE {0} > f.value ORDER BY {0} LIMIT 1)
    FROM found f WHERE f.value IS NOT NULL
)
SELECT value FROM found WHERE value <> ''
"""


class SearchForm(forms.Form):
    """What is looked for; every field may be empty. Days are in the active time zone, the last one included."""

    who = forms.CharField(required=False, max_length=200)
    what = forms.CharField(required=False, max_length=64)
    kind = forms.CharField(required=False, max_length=100)
    q = forms.CharField(required=False, max_length=200)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    object = forms.CharField(required=False, max_length=170)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def entries(self) -> QuerySet[AuditEntry]:
        """The lines, newest first. The form must be valid."""
        given = self.cleaned_data
        found = AuditEntry.objects.order_by("-id")
        if given["who"]:
            found = found.filter(Q(actor_name__icontains=given["who"]) | _is_address(given["who"]))
        if given["what"]:
            found = found.filter(action=given["what"])
        if given["kind"]:
            found = found.filter(object_type=given["kind"])
        if given["object"]:
            kind, _, pk = given["object"].partition(":")
            found = found.filter(object_type=kind, object_id=pk)
        if text := given["q"]:
            found = found.filter(
                Q(object_name__icontains=text)
                | Q(correlation_id=text)
                | Q(object_id=text)
                | _is_address(text)
            )
        if given["since"]:
            found = found.filter(at__gte=_midnight(given["since"]))
        if given["until"] and given["until"].year < 9999:
            found = found.filter(at__lt=_midnight(given["until"] + timedelta(days=1)))
        if given["before"]:
            found = found.filter(id__lt=given["before"])
        return found

    @property
    def looked_for(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.cleaned_data.items() if value}


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _is_address(text: str) -> Q:
    try:
        validate_ipv46_address(text)
    except ValidationError:
        return Q(pk__in=[])
    return Q(address=text)


def actions() -> list[str]:
    return [value for (value,) in sql.fetch(VALUES.format("action"), [])]


def kinds() -> list[str]:
    return [value for (value,) in sql.fetch(VALUES.format("object_type"), [])]


def batches(found: QuerySet[AuditEntry]) -> Iterator[list[AuditEntry]]:
    """All lines that were found, a batch at a time; no transaction stays open in between."""
    last = None
    while True:
        batch = list((found if last is None else found.filter(id__lt=last))[:BATCH])
        yield batch
        if len(batch) < BATCH:
            return
        last = batch[-1].pk


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in COLUMNS}
