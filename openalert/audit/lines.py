"""Lines of the audit log as pages tell them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.text import camel_case_to_spaces

from openalert.base import BaseModel
from openalert.models import AuditEntry

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def lines_of(entries: Sequence[AuditEntry]) -> list[dict[str, Any]]:
    """Each entry, and of it in words: what was done, to what kind of object, what changed from and to, and the rest."""
    names = _names_of_rows(entries)
    return [_line(entry, names) for entry in entries]


def _line(entry: AuditEntry, names: Mapping[str, str]) -> dict[str, Any]:
    changes = []
    for name, sides in entry.changes.items():
        before, after = sides if len(sides) == 2 else (None, None)
        of_field = names if _led_to(entry.object_type, name) else {}
        changes.append((words(name), _value(before, of_field), _value(after, of_field)))
    return {
        "entry": entry,
        "what": words(entry.action),
        "kind": kind_words(entry.object_type),
        "changes": changes,
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


def _names_of_rows(entries: Iterable[AuditEntry]) -> dict[str, str]:
    """Of rows that fields lead to or led to, by their ids: those that are still there and have a name. A query for each table."""
    wanted: dict[type[models.Model], set[str]] = defaultdict(set)
    for entry in entries:
        for name, sides in entry.changes.items():
            if (model := _led_to(entry.object_type, name)) is not None:
                wanted[model].update(
                    side for side in sides if isinstance(side, str) and UUID_TEXT.fullmatch(side)
                )
    return {
        str(pk): name
        for model, ids in wanted.items()
        for pk, name in model._base_manager.filter(pk__in=ids).values_list("pk", "name")
    }


def _led_to(label: str, name: str) -> type[models.Model] | None:
    """The table that a foreign key leads to, if its rows are ours and have names."""
    try:
        model = apps.get_model(label)._meta.get_field(name).related_model
    except (LookupError, ValueError, FieldDoesNotExist):
        return None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    return model if any(field.name == "name" for field in model._meta.fields) else None


def _value(value: Any, names: Mapping[str, str] = {}) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return names.get(value, value) if isinstance(value, str) else msgspec.json.encode(value).decode()
