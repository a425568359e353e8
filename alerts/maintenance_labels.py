"""Maintenance of a part of what services tell: conditions on the labels of alerts, like those of integrations' rules.

An incident is in such maintenance while it has firing alerts and every one of them meets all conditions: what fires
beside it has to page. One with more than MOST_LOOKED_AT firing alerts is not in it: to page is the safe side.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from incidents.enums import Severity
from openalert import sql

from . import rules
from .enums import EventStatus
from .events import AlertEvent
from .exceptions import InvalidRule

MOST_CONDITIONS = 10
MOST_LOOKED_AT = 1000
KINDS = {"=": rules.Equals, "~": rules.Matches}
PREFIX = "labels."

Labels = Mapping[str, str]

FIRING = """
SELECT i.id, (a.labels || coalesce(d.labels, '{}'))::text
FROM unnest(%s::uuid[]) AS i (id)
CROSS JOIN LATERAL (
    SELECT id, labels FROM alerts_alert WHERE incident_id = i.id AND status = 'firing' ORDER BY id LIMIT %s
) AS a
LEFT JOIN alerts_alertadditions d ON d.alert_id = a.id
"""


def read(value: Any) -> list[Any]:
    """Conditions of the kinds `equals` and `matches` on labels, as `alerts.rules` reads them.

    Raises InvalidRule; its field is like “conditions.0.pattern”.
    """
    found = rules.read_conditions(value)
    if len(found) > MOST_CONDITIONS:
        raise InvalidRule(f"At most {MOST_CONDITIONS} conditions.", field="conditions")
    for place, condition in enumerate(found):
        if not isinstance(condition, tuple(KINDS.values())):
            raise InvalidRule(
                "Maintenance knows the tests equals and matches.", field=f"conditions.{place}.test"
            )
        if not condition.field.startswith(PREFIX):
            raise InvalidRule(
                "Maintenance looks at labels: labels.<name>.", field=f"conditions.{place}.field"
            )
    return found


def parse(text: str) -> list[dict[str, str]]:
    """What people write: a condition a line, `cluster = eu-1` or `host ~ ^db-`.

    Raises InvalidRule, in words that name the line.
    """
    conditions = []
    for line in filter(None, map(str.strip, text.splitlines())):
        parts = re.fullmatch(r"([^=~]*[^=~\s])\s*([=~])\s*(.+)", line)
        if parts is None:
            raise InvalidRule(f"Write “label = value” or “label ~ pattern”, not “{line[:80]}”.")
        name, sign, value = parts.groups()
        test, key = ("equals", "value") if sign == "=" else ("matches", "pattern")
        condition = {"test": test, "field": PREFIX + name.removeprefix(PREFIX), key: value}
        try:
            read([condition])
        except InvalidRule as fault:
            raise InvalidRule(f"“{line[:80]}”: {fault.detail}") from None
        conditions.append(condition)
    read(conditions)
    return conditions


def in_words(conditions: Iterable[Mapping[str, str]]) -> list[str]:
    """As people write them."""
    return [
        f"{c['field'].removeprefix(PREFIX)} = {c['value']}"
        if c["test"] == "equals"
        else f"{c['field'].removeprefix(PREFIX)} ~ {c['pattern']}"
        for c in conditions
    ]


def matcher(conditions: Any) -> Callable[[Sequence[Labels]], bool]:
    """Whether something fires and all of it meets the conditions, given the labels of all that fires.

    Raises InvalidRule.
    """
    holds = rules.compile_conditions(read(conditions))

    def matches(firing: Sequence[Labels]) -> bool:
        return 0 < len(firing) <= MOST_LOOKED_AT and all(holds(_event(labels)) for labels in firing)

    return matches


def firing_labels(incident_ids: Iterable[UUID]) -> dict[UUID, list[Labels]]:
    """Of each incident, the labels of its firing alerts, at most one more than MOST_LOOKED_AT; one query."""
    found: dict[UUID, list[Labels]] = {}
    for incident_id, labels in sql.fetch(FIRING, [sql.as_array(map(str, incident_ids)), MOST_LOOKED_AT + 1]):
        found.setdefault(incident_id, []).append(msgspec.json.decode(labels))
    return found


def _event(labels: Labels) -> AlertEvent:
    return AlertEvent(
        dedup_key="", status=EventStatus.FIRING, title="", severity=Severity.LOW, name="", labels=dict(labels)
    )
