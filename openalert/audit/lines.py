"""Lines of the audit log as pages tell them."""

from typing import Any

import msgspec
from django.apps import apps
from django.utils.text import camel_case_to_spaces

from openalert.models import AuditEntry


def line_of(entry: AuditEntry) -> dict[str, Any]:
    """The entry, and of it in words: what was done, to what kind of object, what changed from and to, and the rest."""
    changes = [
        (words(name), *(value if len(value) == 2 else (None, None))) for name, value in entry.changes.items()
    ]
    return {
        "entry": entry,
        "what": words(entry.action),
        "kind": kind_words(entry.object_type),
        "changes": [(name, _value(before), _value(after)) for name, before, after in changes],
        "data": [
            (words(name), _value(value)) for name, value in entry.data.items() if value not in ("", None, [])
        ],
    }


def words(name: str) -> str:
    """“sign_in_failed” as “Sign in failed”."""
    return name.replace("_", " ").capitalize()


def kind_words(label: str) -> str:
    """“teams.team” as “Team”."""
    try:
        return str(apps.get_model(label)._meta.verbose_name).capitalize()
    except (LookupError, ValueError):
        return camel_case_to_spaces(label.rpartition(".")[2]).capitalize()


def _value(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
