"""Reads over several tables: whom the policies would page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from incidents.enums import SEVERITIES, Severity
from incidents.models import Incident
from openalert.words import delay_in_words
from teams.access import teams_to_manage
from teams.models import Service, Team, User

from .ahead import Ahead
from .models import EscalationPolicy, StepTarget
from .preview import MOST_STEPS, ahead_of, imagined
from .routing import choices_for, policies_for
from .snapshot import Snapshot, of_policy
from .steps import Reached
from .targets import Targets
from .waits import Wait


@dataclass(frozen=True)
class PlannedStep:
    """A step of a policy, and whom it would reach. `after` counts from the first page."""

    number: int
    after: timedelta
    targets: list[StepTarget]
    people: list[User]

    @property
    def after_in_words(self) -> str:
        return f"after {delay_in_words(self.after)}" if self.after else "at once"

    @property
    def after_minutes(self) -> float:
        return self.after.total_seconds() / 60


@dataclass(frozen=True)
class Plan:
    """What happens to a service's incidents of these severities; without a policy, nobody is paged.

    The steps are those of the first round. `wait` is what paging would have to wait for now.
    """

    severities: list[Severity]
    policy: EscalationPolicy | None
    steps: list[PlannedStep]
    wait: Wait | None = None


def first_paged(services: Iterable[Service], *, at: datetime) -> dict[UUID, list[User]]:
    """Whom a critical incident of each service would page first, by the service's id; in a fixed number of queries."""
    incidents = [imagined(service, Severity.CRITICAL, at=at) for service in services]
    policies = policies_for(incidents, at=at, labels={})
    snapshots: dict[UUID, Snapshot] = {policy.pk: of_policy(policy) for policy in set(policies.values())}
    targets = Targets(snapshots.values())
    first = {
        pk: targets.people(snapshot["steps"][0], at=at)
        for pk, snapshot in snapshots.items()
        if snapshot["steps"]
    }
    return {
        incident.service_id: first.get(policies[incident.pk].pk, []) if incident.pk in policies else []
        for incident in incidents
    }


def plans_for(service: Service, *, at: datetime) -> list[Plan]:
    """What would happen to the service's incidents, worst severity first; those with one policy together.

    Low urgency may have to wait where high does not, so these are not told as one.
    """
    incidents = [imagined(service, severity, at=at) for severity in SEVERITIES]
    choices = choices_for(incidents, at=at, labels={})
    groups: dict[tuple[EscalationPolicy | None, bool], list[Incident]] = {}
    aheads: dict[tuple[EscalationPolicy | None, bool], Ahead] = {}
    for incident in incidents:
        choice = choices.get(incident.pk)
        ahead = ahead_of(incident, choice, at=at, most=MOST_STEPS) if choice else Ahead()
        key = (choice.policy if choice else None, bool(ahead.waits))
        groups.setdefault(key, []).append(incident)
        aheads.setdefault(key, ahead)
    return [
        Plan(
            [Severity(incident.severity) for incident in found],
            key[0],
            _steps(key[0], aheads[key].steps) if key[0] else [],
            aheads[key].waits[0].wait if aheads[key].waits else None,
        )
        for key, found in groups.items()
    ]


def _steps(policy: EscalationPolicy, reached: Iterable[Reached]) -> list[PlannedStep]:
    rows = sorted(policy.steps.all(), key=lambda step: step.position)
    first_round = [step for step in reached if step.loop == 0]
    return [
        PlannedStep(
            step.step + 1, step.at - first_round[0].at, list(rows[step.step].targets.all()), step.people
        )
        for step in first_round
    ]


def steps_now(policy: EscalationPolicy, *, at: datetime) -> list[PlannedStep]:
    """The policy's first round as if it began at the instant, steps loaded; whatever paging may have to wait for."""
    snapshot = of_policy(policy)
    targets = Targets([snapshot])
    rows = sorted(policy.steps.all(), key=lambda step: step.position)
    result: list[PlannedStep] = []
    after = timedelta()
    for number, (row, step) in enumerate(zip(rows, snapshot["steps"], strict=True), start=1):
        people = targets.people(step, at=at)
        result.append(PlannedStep(number, after, list(row.targets.all()), people))
        after += row.delay
    return result


def managed_by(user: User | AnonymousUser, teams: Iterable[Team]) -> set[UUID]:
    """The ids of those of the teams that the person manages."""
    teams = list(teams)
    of_theirs = teams_to_manage(user).filter(pk__in=[team.pk for team in teams])
    return set(of_theirs.values_list("pk", flat=True))
