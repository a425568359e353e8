"""What an integration's rules make of what it sends: arrivals for intake, and what is dropped before it."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec
from django.utils import timezone

from teams.models import Service

from .events import AlertEvent
from .models import Integration
from .problems import Arrival, Hold
from .results import Outcome, Result
from .rules import Ruleset, Verdict, compile_rules

T = TypeVar("T")


class Rules(msgspec.Struct, frozen=True):
    """An integration's rules, and the services that they name."""

    ruleset: Ruleset
    services: Mapping[UUID, Service]


class Triaged:
    """Events after the rules: the arrivals of those that were not dropped, in order."""

    def __init__(self, integration: Integration, events: Collection[AlertEvent]) -> None:
        rules = rules_of(integration)
        self.arrivals: list[Arrival] = []
        self._dropped: dict[int, Result] = {}
        if not rules.ruleset:
            self.arrivals = [Arrival(integration, event) for event in events]
            return
        at = timezone.now()
        for place, event in enumerate(events):
            verdict = rules.ruleset.apply(event, at=at)
            if verdict.dropped:
                self._dropped[place] = Result(event.dedup_key, Outcome.DROPPED)
            else:
                self.arrivals.append(_arrival(integration, verdict, rules.services))

    def outcomes(self, stored: Sequence[T]) -> Sequence[T | Result]:
        """What became of each event, given what became of each arrival."""
        if not self._dropped:
            return stored
        rest = iter(stored)
        total = len(stored) + len(self._dropped)
        return [self._dropped[place] if place in self._dropped else next(rest) for place in range(total)]


def rules_of(integration: Integration) -> Rules:
    """Loaded when first asked for, and kept on the object, which processes forget when its stamp has changed."""
    if integration.rules_in_force is None:
        team = integration.service.team
        rows = list(integration.rules.select_related("to_service__team").order_by("position"))
        services = {row.to_service_id: row.to_service for row in rows if row.to_service_id}
        integration.rules_in_force = Rules(
            compile_rules(rows, time_zone=team.time_zone),
            # A service that went to another team since is not this team's to send alerts to.
            {pk: service for pk, service in services.items() if service.team_id == team.pk},
        )
    return integration.rules_in_force


def _arrival(integration: Integration, verdict: Verdict, services: Mapping[UUID, Service]) -> Arrival:
    return Arrival(
        integration,
        verdict.event,
        to_service=services.get(verdict.service_id) if verdict.service_id else None,
        grouping=verdict.grouping,
        hold=Hold(verdict.wait, *(verdict.threshold or (None, None))) if verdict.is_held else None,
    )
