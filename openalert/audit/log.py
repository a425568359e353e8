"""Writing the audit log."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.utils import timezone

from openalert import acting, correlation_id, sql
from openalert.models import AuditEntry

Changes = dict[str, tuple[Any, Any]]
# How much of a text is kept on either side of a change.
LONGEST_VALUE = 2000


def action_on(
    action: str,
    row: models.Model | None = None,
    changes: Changes | None = None,
    *,
    by: acting.Source | None = None,
    data: dict[str, Any] | None = None,
) -> AuditEntry:
    """An entry that is not written yet. `changes`: by field, the value before and after, fit for JSON and without secrets.

    `by`: who, when it is not whoever acts now.
    """
    by = by or acting.current()
    return AuditEntry(
        at=timezone.now(),
        actor_kind=by.kind,
        actor_id=by.id,
        actor_name=by.name[:200],
        via=by.via[:100],
        address=by.address,
        correlation_id=correlation_id.current.get(),
        action=action,
        object_type=row._meta.label_lower if row is not None else "",
        object_id=str(row.pk) if row is not None else "",
        object_name=_name(row),
        changes={name: list(values) for name, values in (changes or {}).items()},
        data=data or {},
    )


def record_all(entries: Iterable[AuditEntry]) -> None:
    """Write the entries in one statement."""
    sql.insert(list(entries))


def record(
    action: str,
    row: models.Model | None = None,
    changes: Changes | None = None,
    *,
    by: acting.Source | None = None,
    **data: Any,
) -> None:
    """Write one entry, in the transaction of what it tells of. See `action_on`."""
    record_all([action_on(action, row, changes, by=by, data=data)])


def secret_shown(row: models.Model, what: str) -> None:
    """Somebody is being shown a new secret, the only time that it can be seen."""
    record("secret_shown", row, what=what)


def _name(row: models.Model | None) -> str:
    """As it is called at the time. Asking a row for its name may need rows that are gone."""
    if row is None:
        return ""
    try:
        return str(row)[:200]
    except Exception:
        return f"{row._meta.verbose_name} {row.pk}"[:200]
