"""Intake: what the monitoring systems say becomes alerts and incidents, in one transaction for a batch.

When `ingest` returns, the alerts are stored, their incidents open and the escalations armed; when it
raises, nothing of the batch is stored. The number of statements does not depend on the batch's size.

A batch is read, the incidents concerned are locked, and only then are alerts written, always in that order:
incidents before alerts, so that intake and a person's click cannot deadlock. What was read before the locks
may have changed; every write checks that it met what it expected, and otherwise the batch starts over.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from incidents import bulk, lifecycle, rooms, timeline
from incidents.bulk import IncidentRow
from incidents.enums import SEVERITIES, Kind
from incidents.models import Incident
from incidents.timeline import Actor
from openalert import sql
from openalert.ids import uuid7_texts

from . import correlation, flapping, held, keys, known, store, upstream
from .correlation import Group, GroupId
from .enums import AlertStatus, EventStatus
from .events import AlertEvent
from .models import Integration
from .problems import RANKS, Arrival, Key, Problem, integrations_of, rounds
from .results import Outcome, Result, Results
from .triage import Triaged

ByIncident = dict[str, list[Problem]]

logger = logging.getLogger(__name__)

MAX_TRIES = 30
RETRIED_SQLSTATES = {"40001", "40P01", "23505"}  # serialization failure, deadlock detected, unique violation
TITLES_IN_ENTRY = 3


def take(integration: Integration, events: Iterable[AlertEvent]) -> list[Result]:
    """Store what one integration says, by its rules: the call for every door but the dense one.

    The integration's service and team should be loaded. Raises as `ingest` does.
    """
    triaged = Triaged(integration, list(events))
    return list(triaged.outcomes(ingest(triaged.arrivals)))


def ingest(arrivals: Sequence[Arrival], *, may_be_known: bool = True) -> list[Result]:
    """Store a batch; the results are in the order of the arrivals.

    `may_be_known` False skips the way of `known`, for a batch of which it is clear that it needs another.
    Raises django.db.Error when the database cannot take it, and IntegrationChanged; then nothing is stored.
    Calling it again with the same arrivals counts them again.
    """
    if not arrivals:
        return []
    for attempt in range(1, MAX_TRIES + 1):
        try:
            return _ingest(arrivals, timezone.now(), may_be_known=may_be_known and attempt == 1)
        except (store.Changed, OperationalError, IntegrityError) as error:
            retried = isinstance(error, store.Changed) or (
                getattr(error.__cause__, "sqlstate", None) in RETRIED_SQLSTATES
            )
            if not retried or attempt == MAX_TRIES:
                raise
            logger.debug("intake starts over (%s): %s", attempt, error)
    raise AssertionError("unreachable")


def _ingest(arrivals: Sequence[Arrival], now: datetime, *, may_be_known: bool) -> list[Result]:
    folded = list(rounds(arrivals))
    results = Results(len(arrivals))
    senders = integrations_of(arrivals)
    # Not within somebody else's transaction: the locks of a call that was in vain would stay, and be raised.
    if may_be_known and len(folded) == 1 and not connection.in_atomic_block:
        call = known.call_for(folded[0].values(), senders, now=now)
        if call and call.report(sql.fetch(known.TAKE, call.parameters)[0][0], results):
            rooms.publish_alerts(call.incidents)
            return results.all()
    with transaction.atomic():
        sql.prefer_indexes()
        keys.hold(senders)
        for problems in folded:
            _Round(problems, results, now).run()
    return results.all()


class _Round:
    """One pass over problems with different keys."""

    def __init__(self, problems: dict[Key, Problem], results: Results, now: datetime) -> None:
        self.problems = problems
        self.results = results
        self.now = now
        self.rows: dict[str, IncidentRow] = {}
        self.locked: dict[str, Incident] = {}

    def run(self) -> None:
        # Before alerts are read: what another transaction makes an alert of meanwhile is seen to be one.
        there = self._lock_held()
        self._read_alerts()
        self._hold_back(there)
        new: list[Problem] = []
        repeated: list[Problem] = []
        refired: list[Problem] = []
        resolved: list[Problem] = []
        acknowledged: list[Problem] = []
        for problem in self.problems.values():
            status, alert = problem.event.status, problem.current
            if status == EventStatus.FIRING:
                if alert is None:
                    new.append(problem)
                else:
                    (repeated if alert.status == AlertStatus.FIRING else refired).append(problem)
            elif alert is None or alert.status == AlertStatus.RESOLVED:
                self._done([problem], Outcome.IGNORED, None)
            else:
                (resolved if status == EventStatus.RESOLVED else acknowledged).append(problem)
        joining, opening = self._sort_new(new)
        self._lock_incidents(joining, repeated, refired, resolved + acknowledged)
        late = self._store_new(joining, self._open(opening))
        self._fire_again([*repeated, *late], refired)
        self._acknowledge(_by_incident(acknowledged))
        self._resolve(_by_incident(resolved))

    # What is there

    def _read_alerts(self) -> None:
        problems = list(self.problems.values())
        for place, alert in store.current(list(self.problems)):
            problems[place].current = alert

    def _lock_held(self) -> dict[Key, held.Before]:
        """What is held of the problems; of those that are over, nothing is any longer."""
        over = [key for key, p in self.problems.items() if p.event.status == EventStatus.RESOLVED]
        held.end(over, now=self.now)
        return held.lock([key for key, p in self.problems.items() if p.arrival.hold])

    def _hold_back(self, there: dict[Key, held.Before]) -> None:
        """Rules may want more of what would become an alert."""
        firing = [
            (key, problem)
            for key, problem in self.problems.items()
            if problem.arrival.hold
            and (problem.current is None or problem.current.status != AlertStatus.FIRING)
        ]
        for key, problem in held.hold(firing, there, now=self.now):
            del self.problems[key]
            self._done([problem], Outcome.HELD, None)

    def _read_incidents(self, ids: Iterable[str]) -> None:
        self.rows |= bulk.read(ids, quiet_since=self.now - known.ENTRY_INTERVAL)

    def _sort_new(self, new: list[Problem]) -> tuple[ByIncident, list[list[Problem]]]:
        """Which incident each new problem joins, and those that open one together."""
        groups: dict[GroupId, Group] = {}
        for problem in new:
            group = problem.group = correlation.group_of(problem.arrival)
            groups[group.id] = group
        found = correlation.incidents_to_join(groups.values(), now=self.now)
        missing = [
            group for group_id, group in groups.items() if group_id not in found and group.grouping_key
        ]
        correlation.lock_groups(missing)
        if correlation.incidents_to_join(missing, now=self.now):
            raise store.Changed("an incident was opened while we waited for its group")
        alone = {p.arrival.service.pk for p in new if p.group.id not in found}
        above = upstream.upstream_to_join(alone, now=self.now) if alone else {}
        joining: ByIncident = {}
        opening: dict[GroupId | int, list[Problem]] = {}
        for place, problem in enumerate(new):
            group_id = problem.group.id
            there = found.get(group_id) or above.get(problem.arrival.service.pk)
            if there is not None:
                joining.setdefault(str(there), []).append(problem)
            else:
                opening.setdefault(group_id if problem.group.grouping_key else place, []).append(problem)
        return joining, list(opening.values())

    def _lock_incidents(
        self,
        joining: ByIncident,
        repeated: list[Problem],
        refired: list[Problem],
        answered: list[Problem],
    ) -> None:
        """Read the incidents concerned, and lock those to which something happens.

        Incidents of mere repeats are only read, so a storm locks none. Those that get alerts are locked
        against being resolved, together with other batches, unless one of all must change: then all are
        locked for this batch alone, as a lock that is raised later could deadlock.
        """
        there = _by_incident([*repeated, *refired, *answered])
        self._read_incidents({*joining, *there})
        changing = {p.current.incident_id for p in [*refired, *answered]}
        changing |= {incident for incident in joining if self._is_told(incident)}
        for problems_of in (joining, there):
            changing |= {
                incident for incident, problems in problems_of.items() if self._is_worse(incident, problems)
            }
        if changing:
            locked = lifecycle.lock(map(UUID, {*changing, *joining}))
            self.locked = {incident.id_text: incident for incident in locked}
            over = any(incident.is_resolved for incident in locked)
        else:
            over = not bulk.keep_unresolved(joining)
        if over:
            raise store.Changed("an incident was resolved before its new alerts were stored")

    def _is_told(self, incident: str) -> bool:
        """Whether the timeline tells of what fires now; see known.ENTRIES_ONE_BY_ONE."""
        row = self.rows[incident]
        return row.alert_entries < known.ENTRIES_ONE_BY_ONE or row.was_quiet

    def _is_worse(self, incident: str, problems: list[Problem]) -> bool:
        return any(p.is_firing for p in problems) and _worst(problems) < RANKS[self.rows[incident].severity]

    # What changes

    def _open(self, opening: list[list[Problem]]) -> dict[Incident, list[Problem]]:
        """Open an incident for each list of problems."""
        if not opening:
            return {}
        opened = {
            Incident(
                service=problems[0].arrival.service,
                title=problems[0].event.title,
                severity=SEVERITIES[_worst(problems)],
                grouping_key=problems[0].group.grouping_key,
                opened_at=self.now,
                last_alert_at=self.now,
            ): problems
            for problems in opening
        }
        lifecycle.open_incidents(
            list(opened),
            actor={incident.pk: _actor(problems) for incident, problems in opened.items()},
            details={incident.pk: _named(problems) for incident, problems in opened.items()},
            labels={incident.pk: [p.event.labels for p in problems] for incident, problems in opened.items()},
        )
        return opened

    def _store_new(self, joining: ByIncident, opened: dict[Incident, list[Problem]]) -> list[Problem]:
        """Returns problems that were new, and are no longer: another transaction has stored their alerts."""
        placed = [(problem, incident) for incident, problems in joining.items() for problem in problems]
        placed += [
            (problem, incident.id_text) for incident, problems in opened.items() for problem in problems
        ]
        new = [
            store.NewAlert(
                alert_id,
                problem.arrival.integration.id_text,
                incident,
                problem.event.dedup_key,
                *_described(problem),
            )
            for alert_id, (problem, incident) in zip(uuid7_texts(len(placed)), placed, strict=True)
        ]
        late: list[Problem] = []
        if not store.insert(new, now=self.now):
            late = self._find_late(new, [problem for problem, _ in placed])
            if any(problem.current for problems in opened.values() for problem in problems):
                raise store.Changed("an incident would have been opened for an alert that is there")
            joining = {
                incident: rest
                for incident, problems in joining.items()
                if (rest := [problem for problem in problems if not problem.current])
            }
        for incident, problems in opened.items():
            self._done(problems, Outcome.OPENED, incident.number)
        self._fires(joining, Kind.ALERT_ADDED)
        for incident_id, problems in joining.items():
            self._done(problems, Outcome.JOINED, self.rows[incident_id].number)
        return late

    def _find_late(self, new: list[store.NewAlert], problems: list[Problem]) -> list[Problem]:
        """Those of the problems whose alerts are another transaction's; they are like any that fire already."""
        ours = {alert.id for alert in new}
        late = []
        for place, alert in store.current([(alert.integration_id, alert.dedup_key) for alert in new]):
            if alert.id.replace("-", "") not in ours:
                problems[place].current = alert
                late.append(problems[place])
        there = _by_incident(late)
        self._read_incidents(there)
        if any(p.current.status != AlertStatus.FIRING for p in late) or any(
            self._is_worse(incident, problems) for incident, problems in there.items()
        ):
            raise store.Changed("an alert was stored meanwhile, and its incident would have to change")
        return late

    def _fire_again(self, repeated: list[Problem], refired: list[Problem]) -> None:
        store.fire_again(
            [
                store.FiredAgain(problem.current.id, problem.current.status, *_described(problem))
                for problem in [*repeated, *refired]
            ],
            now=self.now,
        )
        again = _by_incident(refired)
        self._fires(again, Kind.ALERT_REFIRED)
        for incident, problems in again.items():
            self._done(problems, Outcome.REFIRED, self.rows[incident].number)
        there = _by_incident(repeated)
        self._raise_severities(there)
        rooms.publish_alerts([self.rows[incident] for incident in there])
        for incident, problems in there.items():
            self._done(problems, Outcome.REPEATED, self.rows[incident].number)

    def _fires(self, problems_of: ByIncident, kind: Kind) -> None:
        """Tell incidents of alerts that fire now, and that they are not over yet."""
        if not problems_of:
            return
        told = {incident: ps for incident, ps in problems_of.items() if self._is_told(incident)}
        self._record(kind, told)
        if told:
            bulk.told(told, now=self.now)
        rooms.publish_alerts([self.rows[incident] for incident in problems_of.keys() - told.keys()])
        self._raise_severities(problems_of)

    def _record(self, kind: Kind, problems_of: ByIncident) -> None:
        timeline.record_all(
            timeline.entry(
                self.locked[incident],
                kind,
                actor=_actor(problems),
                at=self.now,
                **_named(problems),
                # Since the last entry there may have been others.
                among_others=self.rows[incident].alert_entries >= known.ENTRIES_ONE_BY_ONE,
            )
            for incident, problems in problems_of.items()
        )

    def _raise_severities(self, problems_of: ByIncident) -> None:
        worse = {i: problems for i, problems in problems_of.items() if self._is_worse(i, problems)}
        lifecycle.set_severities(
            [(self.locked[incident], SEVERITIES[_worst(problems)]) for incident, problems in worse.items()],
            actor={self.locked[incident].pk: _actor(problems) for incident, problems in worse.items()},
        )

    def _acknowledge(self, problems_of: ByIncident) -> None:
        """The incidents of alerts that somebody acknowledged over there are acknowledged here."""
        lifecycle.acknowledge_locked(
            [self.locked[incident] for incident in problems_of],
            actor={self.locked[incident].pk: _actor(problems) for incident, problems in problems_of.items()},
        )
        for incident, problems in problems_of.items():
            self._done(problems, Outcome.ACKNOWLEDGED, self.rows[incident].number)

    def _resolve(self, problems_of: ByIncident) -> None:
        if not problems_of:
            return
        store.resolve([p.current.id for problems in problems_of.values() for p in problems], now=self.now)
        self._record(Kind.ALERT_RESOLVED, problems_of)
        still_firing = store.still_firing(problems_of)
        over = {
            incident: problems
            for incident, problems in problems_of.items()
            if incident not in still_firing and self.locked[incident].service.resolves_with_alerts
        }
        kept = flapping.incidents_to_keep(
            {self.locked[incident]: problems for incident, problems in over.items()}, now=self.now
        )
        over = {incident: problems for incident, problems in over.items() if incident not in kept}
        lifecycle.resolve_locked(
            [self.locked[incident] for incident in over],
            actor={self.locked[incident].pk: _actor(problems) for incident, problems in over.items()},
        )
        for incident, problems in problems_of.items():
            self._done(problems, Outcome.RESOLVED, self.rows[incident].number)

    def _done(self, problems: list[Problem], outcome: Outcome, incident: int | None) -> None:
        for problem in problems:
            self.results.report(problem, outcome, incident)


def _by_incident(problems: Iterable[Problem]) -> ByIncident:
    """Problems whose alerts are there, by the id of their incident."""
    found: ByIncident = {}
    for problem in problems:
        found.setdefault(problem.current.incident_id, []).append(problem)
    return found


def _actor(problems: list[Problem]) -> Actor:
    """Who says so: the integration, and for whom where it tells."""
    integration, by = problems[0].arrival.integration, problems[0].event.by
    return Actor.integration(f"{by} ({integration.name})" if by else integration.name, via=integration.source)


def _worst(problems: Iterable[Problem]) -> int:
    """The rank of the worst severity."""
    return min(problem.rank for problem in problems)


def _named(problems: list[Problem]) -> dict[str, Any]:
    """For a timeline entry: how many alerts, and the first titles."""
    return {"count": len(problems), "titles": [p.event.title for p in problems[:TITLES_IN_ENTRY]]}


def _described(problem: Problem) -> tuple[Any, ...]:
    """The last columns of an alert's row."""
    event = problem.event
    severity = SEVERITIES[problem.rank]
    return event.title, severity, event.source, event.labels, event.metadata, problem.count
