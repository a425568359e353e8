"""What is left when a drill is over: rows of the database and lines of the provider's log, as plain values.

All instants are Unix seconds.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg.rows import class_row

T = TypeVar("T")

# An answer is committed with its timeline entry, which nobody changes after.
INCIDENTS = """
SELECT i.id::text, i.title, i.status, s.name AS service, extract(epoch FROM i.opened_at)::float AS opened,
    (SELECT min(extract(epoch FROM pg_xact_commit_timestamp(t.xmin)))::float FROM incidents_timelineentry t
     WHERE t.incident_id = i.id AND t.kind IN ('acknowledged', 'resolved')) AS answered
FROM incidents_incident i JOIN teams_service s ON s.id = i.service_id ORDER BY i.number
"""
PAGES = """
SELECT n.id::text, n.incident_id::text AS incident, n.loop, n.step, u.email AS person, n.channel, n.address, n.status,
    n.attempt_count AS attempts
FROM notifications_notification n JOIN teams_user u ON u.id = n.user_id WHERE n.purpose = 'page'
"""
STEPS = """
SELECT incident_id::text AS incident, (data->>'loop')::int AS loop, (data->>'step')::int AS step,
    extract(epoch FROM at)::float AS at
FROM incidents_timelineentry WHERE kind = 'step_reached' ORDER BY id
"""
ATTEMPTS = """
SELECT a.notification_id::text AS page, a.number, a.status, extract(epoch FROM a.started_at)::float AS started,
    extract(epoch FROM a.finished_at)::float AS finished
FROM notifications_deliveryattempt a ORDER BY a.notification_id, a.number
"""
ALERTS = "SELECT dedup_key, status, incident_id::text FROM alerts_alert"
UNFINISHED = """
SELECT (SELECT count(*) FROM escalations_escalationrun WHERE status = 'running'),
    (SELECT count(*) FROM notifications_notification WHERE status IN ('pending', 'sending'))
"""


@dataclass
class Incident:
    id: str
    title: str
    status: str
    service: str
    opened: float
    answered: float | None  # when its first acknowledgement or resolve was committed

    @property
    def key(self) -> str:
        return self.title.partition(".")[0]


@dataclass
class Page:
    id: str
    incident: str
    loop: int
    step: int
    person: str
    channel: str
    address: str
    status: str
    attempts: int


@dataclass
class Step:
    """A step that was carried out."""

    incident: str
    loop: int
    step: int
    at: float


@dataclass
class Attempt:
    page: str
    number: int
    status: str
    started: float
    finished: float | None


@dataclass
class Handed:
    """A message that the provider took; `pid` is the sender's."""

    id: str
    pid: int
    to: str
    opened: float
    at: float


@dataclass
class Evidence:
    incidents: list[Incident] = field(default_factory=list)
    steps: dict[str, list[Step]] = field(default_factory=dict)  # by incident
    pages: dict[str, list[Page]] = field(default_factory=dict)  # by incident
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)  # by page
    alerts: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)  # key → (status, incident)
    handed: dict[str, list[Handed]] = field(default_factory=dict)  # by page, in order
    refused: int = 0  # messages, for the moment


def gather(database: psycopg.Connection, log: Path) -> Evidence:
    found = Evidence()
    found.incidents = _rows(database, Incident, INCIDENTS)
    found.steps = _by(_rows(database, Step, STEPS), "incident")
    found.pages = _by(_rows(database, Page, PAGES), "incident")
    found.attempts = _by(_rows(database, Attempt, ATTEMPTS), "page")
    found.alerts = defaultdict(list)
    for key, status, incident in database.execute(ALERTS).fetchall():
        found.alerts[key].append((status, incident))
    taken = []
    for line in log.read_text().splitlines():
        told = json.loads(line)
        if told.pop("code") == 250:
            taken.append(Handed(**told))
        else:
            found.refused += 1
    found.handed = _by(taken, "id")
    return found


def unfinished(database: psycopg.Connection) -> tuple[int, int]:
    """How many escalations run, and how many pages wait or are being sent."""
    [counts] = database.execute(UNFINISHED).fetchall()
    return counts


def _rows(database: psycopg.Connection, kind: type[T], statement: str) -> list[T]:
    with database.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement).fetchall()


def _by(rows: Iterable[T], name: str) -> dict[str, list[T]]:
    grouped: dict[str, list[T]] = defaultdict(list)
    for row in rows:
        grouped[getattr(row, name)].append(row)
    return grouped
