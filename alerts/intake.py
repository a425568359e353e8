"""Intake: what the monitoring systems say becomes alerts and incidents, in one transaction for a batch.

When `ingest` returns, the alerts are stored, their incidents open and the escalations armed; when it
raises, nothing of the batch is stored.

A batch is read, the incidents concerned are locked, and only then are alerts written, always in that order:
incidents before alerts, so that intake and a person's click cannot deadlock. What was read before the locks
may have changed; every write checks that it met what it expected, and otherwise the batch starts over.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import OperationalError, transaction
from django.utils import timezone

from incidents import lifecycle, rooms, timeline
from incidents.enums import Kind, Severity
from incidents.models import Incident
from incidents.timeline import Actor
from openalert.ids import uuid7
from teams.models import Service

from . import correlation, store
from .correlation import Group
from .enums import AlertStatus
from .events import AlertEvent
from .models import Alert, Integration
from .store import CurrentAlert, Key

logger = logging.getLogger(__name__)

MAX_TRIES = 10
RETRIED_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock detected
TITLES_IN_ENTRY = 3


class Outcome(StrEnum):
    OPENED = "opened"  # a new alert in a new incident
    JOINED = "joined"  # a new alert in an incident that was there
    REPEATED = "repeated"  # an alert that fires already: one more on its count
    REFIRED = "refired"  # a resolved alert of an incident that is still unresolved fires again
    RESOLVED = "resolved"
    IGNORED = "ignored"  # a resolve without a firing alert


@dataclass(frozen=True)
class Arrival:
    """An event and the integration (service and team loaded) that sent it.

    The integration's rules may send it to another service than the integration's own, and say what it is
    grouped by instead of what the integration says.
    """

    integration: Integration
    event: AlertEvent
    service: Service | None = None
    grouping: str | None = None

    @property
    def key(self) -> Key:
        return self.integration.pk, self.event.dedup_key


@dataclass(frozen=True)
class Result:
    """What became of one arrival; `incident` is its number, None when there is none."""

    dedup_key: str
    outcome: Outcome
    incident: int | None = None


@dataclass
class Problem:
    """Successive arrivals of one key with the same status, folded into one."""

    arrivals: list[Arrival]
    indexes: list[int]

    @property
    def key(self) -> Key:
        return self.arrivals[-1].key

    @property
    def integration(self) -> Integration:
        return self.arrivals[-1].integration

    @property
    def event(self) -> AlertEvent:
        return self.arrivals[-1].event

    @property
    def is_firing(self) -> bool:
        return self.event.status == AlertStatus.FIRING

    @property
    def severity(self) -> Severity:
        return min((arrival.event.severity for arrival in self.arrivals), key=lambda s: s.rank)


def take(integration: Integration, events: Iterable[AlertEvent]) -> list[Result]:
    """Store what one integration says, by its rules: the call for every door but the dense one.

    The integration's service and team should be loaded. Raises as `ingest` does.
    """
    return ingest([Arrival(integration, event) for event in events])


def ingest(arrivals: Sequence[Arrival]) -> list[Result]:
    """Store a batch; the results are in the order of the arrivals.

    Raises django.db.Error when the database cannot take it; then nothing is stored. Calling it again with
    the same arrivals counts them again.
    """
    for attempt in range(1, MAX_TRIES + 1):
        try:
            with transaction.atomic():
                return _Batch(arrivals, timezone.now()).run()
        except (store.Changed, OperationalError) as error:
            retried = isinstance(error, store.Changed) or (
                getattr(error.__cause__, "sqlstate", None) in RETRIED_SQLSTATES
            )
            if not retried or attempt == MAX_TRIES:
                raise
            logger.info("intake starts over (%s): %s", attempt, error)
    raise AssertionError("unreachable")


def rounds(arrivals: Sequence[Arrival]) -> Iterator[dict[Key, Problem]]:
    """Split a batch so that no round holds a key twice: fire, fire, resolve, fire makes three rounds."""
    folded: list[dict[Key, Problem]] = []
    round_of: dict[Key, int] = {}
    for index, arrival in enumerate(arrivals):
        number = round_of.get(arrival.key)
        if number is not None and folded[number][arrival.key].event.status == arrival.event.status:
            problem = folded[number][arrival.key]
            problem.arrivals.append(arrival)
            problem.indexes.append(index)
            continue
        number = 0 if number is None else number + 1
        round_of[arrival.key] = number
        if number == len(folded):
            folded.append({})
        folded[number][arrival.key] = Problem([arrival], [index])
    yield from folded


class _Batch:
    def __init__(self, arrivals: Sequence[Arrival], now: datetime) -> None:
        self.arrivals = arrivals
        self.now = now
        self.results: list[Result | None] = [None] * len(arrivals)

    def run(self) -> list[Result]:
        for problems in rounds(self.arrivals):
            _Round(self, problems).run()
        return self.results  # type: ignore[return-value]  # every arrival is in one round


class _Round:
    """One pass over problems with different keys."""

    def __init__(self, batch: _Batch, problems: dict[Key, Problem]) -> None:
        self.results = batch.results
        self.now = batch.now
        self.problems = problems
        self.firing = [p for p in problems.values() if p.is_firing]
        self.resolving = [p for p in problems.values() if not p.is_firing]
        self.current: dict[Key, CurrentAlert] = {}
        self.incidents: dict[UUID, Incident] = {}

    def run(self) -> None:
        self.current = store.current(self.problems)
        groups = {p.key: self._group(p) for p in self.firing if p.key not in self.current}
        correlation.lock_groups(groups.values())
        # Somebody else may have stored them while we waited for the locks.
        self.current |= store.current(groups)
        new = [p for p in self.firing if p.key not in self.current]
        joinable = correlation.incidents_to_join({groups[p.key] for p in new}, now=self.now)
        self._load_incidents(joinable.values())
        self._store_new(new, groups, joinable)
        self._fire_again([p for p in self.firing if p.key in self.current])
        self._resolve()

    @staticmethod
    def _group(problem: Problem) -> Group:
        integration = problem.integration
        return Group(
            integration.service_id,
            correlation.grouping_key(integration, problem.event),
            timedelta(minutes=integration.grouping_window_minutes),
        )

    def _load_incidents(self, joinable: Iterable[UUID]) -> None:
        """Lock the incidents that may change; those of mere repeats are only read, so a storm locks none."""
        concerned = {alert.incident_id for alert in self.current.values()}
        read = Incident.objects.select_related("service").in_bulk(concerned)
        changing = set(joinable)
        for key, alert in self.current.items():
            problem = self.problems[key]
            if problem.is_firing != (alert.status == AlertStatus.FIRING) or (
                problem.is_firing and problem.severity.rank < Severity(read[alert.incident_id].severity).rank
            ):
                changing.add(alert.incident_id)
        locked = {incident.pk: incident for incident in lifecycle.lock(changing)}
        self.incidents = {**read, **locked}

    def _store_new(self, new: list[Problem], groups: dict[Key, Group], joinable: dict[Group, UUID]) -> None:
        joining: dict[UUID, list[Problem]] = {}
        opening: dict[Group | Key, list[Problem]] = {}
        for problem in new:
            group = groups[problem.key]
            there = joinable.get(group)
            if there is not None and not self.incidents[there].is_resolved:
                joining.setdefault(there, []).append(problem)
            else:
                opening.setdefault(group if group.grouping_key else problem.key, []).append(problem)
        opened = self._open(opening.values(), groups)
        store.insert(
            [
                store.NewAlert(
                    id=uuid7(),
                    integration_id=problem.integration.pk,
                    incident_id=incident_id,
                    dedup_key=problem.event.dedup_key,
                    **_described(problem),
                )
                for incident_id, problems in [*joining.items(), *opened.items()]
                for problem in problems
            ],
            now=self.now,
        )
        for incident_id, problems in opened.items():
            self._done(problems, Outcome.OPENED, self.incidents[incident_id])
        self._touch(joining, Kind.ALERT_ADDED)
        for incident_id, problems in joining.items():
            self._done(problems, Outcome.JOINED, self.incidents[incident_id])

    def _open(self, opening: Iterable[list[Problem]], groups: dict[Key, Group]) -> dict[UUID, list[Problem]]:
        """Open an incident for each list of problems; returns the lists by their incident's id."""
        opened: dict[UUID, list[Problem]] = {}
        by_integration: dict[Integration, list[Incident]] = {}
        for problems in opening:
            first = problems[0]
            incident = Incident(
                service=first.integration.service,
                title=first.event.title,
                severity=_worst(problems),
                grouping_key=groups[first.key].grouping_key,
                opened_at=self.now,
                last_alert_at=self.now,
            )
            opened[incident.pk] = problems
            self.incidents[incident.pk] = incident
            by_integration.setdefault(first.integration, []).append(incident)
        for integration, incidents in by_integration.items():
            lifecycle.open_incidents(
                incidents,
                actor=_actor(integration),
                details={incident.pk: _named(opened[incident.pk]) for incident in incidents},
            )
        return opened

    def _fire_again(self, problems: list[Problem]) -> None:
        refired: dict[UUID, list[Problem]] = {}
        repeated: dict[UUID, list[Problem]] = {}
        for problem in problems:
            alert = self.current[problem.key]
            kind = repeated if alert.status == AlertStatus.FIRING else refired
            kind.setdefault(alert.incident_id, []).append(problem)
        store.fire_again(
            [
                store.FiredAgain(
                    id=self.current[problem.key].id,
                    status=self.current[problem.key].status,
                    **_described(problem),
                )
                for problem in problems
            ],
            now=self.now,
        )
        self._touch(refired, Kind.ALERT_REFIRED)
        for incident_id, again in refired.items():
            self._done(again, Outcome.REFIRED, self.incidents[incident_id])
        for incident_id, again in repeated.items():
            incident = self.incidents[incident_id]
            self._raise_severity(incident, again)
            rooms.publish_incident(incident, "alert.updated")
            self._done(again, Outcome.REPEATED, incident)

    def _touch(self, problems_of: dict[UUID, list[Problem]], kind: Kind) -> None:
        """Tell incidents of their new alerts, and that they are not over yet."""
        if not problems_of:
            return
        Incident.objects.filter(pk__in=problems_of).update(last_alert_at=self.now, updated_at=self.now)
        self._record(kind, problems_of)
        for incident_id, problems in problems_of.items():
            self._raise_severity(self.incidents[incident_id], problems)

    def _record(self, kind: Kind, problems_of: dict[UUID, list[Problem]]) -> None:
        timeline.record_all(
            timeline.entry(
                self.incidents[incident_id],
                kind,
                actor=_actor(problems[0].integration),
                at=self.now,
                **_named(problems),
            )
            for incident_id, problems in problems_of.items()
        )

    def _raise_severity(self, incident: Incident, problems: list[Problem]) -> None:
        worst = _worst(problems)
        if worst.rank < Severity(incident.severity).rank:
            lifecycle.set_severities([(incident, worst)], actor=_actor(problems[0].integration))

    def _resolve(self) -> None:
        resolved: dict[UUID, list[Problem]] = {}
        for problem in self.resolving:
            alert = self.current.get(problem.key)
            if alert is None or alert.status == AlertStatus.RESOLVED:
                incident = self.incidents[alert.incident_id] if alert else None
                self._done([problem], Outcome.IGNORED, incident)
            else:
                resolved.setdefault(alert.incident_id, []).append(problem)
        if not resolved:
            return
        store.resolve([self.current[p.key].id for ps in resolved.values() for p in ps], now=self.now)
        still_firing = set(
            Alert.objects.filter(incident__in=resolved, status=AlertStatus.FIRING).values_list(
                "incident", flat=True
            )
        )
        self._record(Kind.ALERT_RESOLVED, resolved)
        over: dict[Integration, list[Incident]] = {}
        for incident_id, problems in resolved.items():
            incident = self.incidents[incident_id]
            if incident.service.resolves_with_alerts and incident_id not in still_firing:
                over.setdefault(problems[0].integration, []).append(incident)
            self._done(problems, Outcome.RESOLVED, incident)
        for integration, incidents in over.items():
            lifecycle.resolve_locked(incidents, actor=_actor(integration))

    def _done(self, problems: list[Problem], outcome: Outcome, incident: Incident | None) -> None:
        number = incident.number if incident else None
        for problem in problems:
            repeated = Outcome.REPEATED if problem.is_firing else Outcome.IGNORED
            for place, index in enumerate(problem.indexes):
                self.results[index] = Result(problem.event.dedup_key, repeated if place else outcome, number)


def _actor(integration: Integration) -> Actor:
    return Actor.integration(integration.name, via=integration.source)


def _worst(problems: Iterable[Problem]) -> Severity:
    return min((problem.severity for problem in problems), key=lambda severity: severity.rank)


def _named(problems: list[Problem]) -> dict[str, Any]:
    """For a timeline entry: how many alerts, and the first titles."""
    return {"count": len(problems), "titles": [p.event.title for p in problems[:TITLES_IN_ENTRY]]}


def _described(problem: Problem) -> dict[str, Any]:
    event = problem.event
    return {
        "title": event.title,
        "severity": event.severity,
        "source": event.source,
        "labels": event.labels,
        "metadata": event.metadata,
        "count": len(problem.arrivals),
    }
