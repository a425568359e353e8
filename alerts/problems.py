"""What arrives, folded: a batch as problems of which no round holds one twice."""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from incidents.enums import SEVERITIES, Severity

from .enums import EventStatus
from .events import AlertEvent

if TYPE_CHECKING:
    from teams.models import Service

    from .correlation import Group
    from .models import Integration
    from .store import CurrentAlert

Key = tuple[str, str]  # integration's id as text, dedup key

RANKS: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class Hold(msgspec.Struct, frozen=True):
    """What has to be before something that fires becomes an alert: see `rules.Delay` and `rules.Threshold`."""

    wait: timedelta | None = None
    times: int | None = None
    within: timedelta | None = None


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """An event and the integration (service and team loaded) that sent it.

    The integration's rules may send it to another service than the integration's own, and say what it is
    grouped by instead of what the integration says, and hold it back. `earlier` is how often it was sent before
    without becoming an alert.
    """

    integration: "Integration"
    event: AlertEvent
    to_service: "Service | None" = None
    grouping: str | None = None
    hold: Hold | None = None
    earlier: int = 0

    @property
    def service(self) -> "Service":
        return self.to_service or self.integration.service


class Problem:
    """Successive arrivals of one key with the same status, folded into one; the last of them counts."""

    __slots__ = ("arrival", "current", "earlier", "event", "group", "indexes", "rank")

    def __init__(self, arrival: Arrival, index: int) -> None:
        self.arrival = arrival
        self.event = arrival.event
        self.earlier = arrival.earlier
        self.indexes = [index]
        self.rank = RANKS[arrival.event.severity]  # of the worst
        # Set by intake as it goes: the alert that is there, and for a new one the group it belongs to.
        self.current: CurrentAlert = None  # type: ignore[assignment]
        self.group: Group = None  # type: ignore[assignment]

    def add(self, arrival: Arrival, index: int) -> None:
        self.arrival = arrival
        self.event = arrival.event
        self.indexes.append(index)
        self.rank = min(self.rank, RANKS[arrival.event.severity])

    @property
    def count(self) -> int:
        return self.earlier + len(self.indexes)

    @property
    def severity(self) -> Severity:
        return SEVERITIES[self.rank]

    @property
    def is_firing(self) -> bool:
        return self.event.status == EventStatus.FIRING


def rounds(arrivals: Sequence[Arrival]) -> Iterator[dict[Key, Problem]]:
    """Split a batch so that no round holds a key twice: fire, fire, resolve, fire makes three rounds."""
    first: dict[Key, Problem] = {}
    later: list[dict[Key, Problem]] = []
    last_of: dict[Key, tuple[int, Problem]] = {}  # of keys that are beyond the first round
    for index, arrival in enumerate(arrivals):
        event = arrival.event
        key = (arrival.integration.id_text, event.dedup_key)
        problem = first.get(key)
        if problem is None:
            first[key] = Problem(arrival, index)
            continue
        number, problem = last_of.get(key, (0, problem))
        if problem.event.status == event.status:
            problem.add(arrival, index)
            continue
        number, problem = number + 1, Problem(arrival, index)
        last_of[key] = number, problem
        if number > len(later):
            later.append({})
        later[number - 1][key] = problem
    if first:
        yield first
    yield from later


def integrations_of(arrivals: Sequence[Arrival]) -> "Collection[Integration]":
    """Who sent them, each once."""
    return {arrival.integration.id_text: arrival.integration for arrival in arrivals}.values()
