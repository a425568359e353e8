"""Reads over several tables: whom the policies would page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from incidents.enums import SEVERITIES, Severity
from incidents.models import Incident
from teams.models import Service, User

from .models import EscalationPolicy, StepTarget
from .routing import policies_for
from .snapshot import Snapshot, of_policy
from .targets import Targets


@dataclass(frozen=True)
class PlannedStep:
    """A step of a policy, and whom it would reach now. `after_minutes` counts from the first page."""

    number: int
    after_minutes: int
    delay_minutes: int
    targets: list[StepTarget]
    people: list[User]


@dataclass(frozen=True)
class Plan:
    """What happens to a service's incidents of these severities; without a policy, nobody is paged."""

    severities: list[Severity]
    policy: EscalationPolicy | None
    steps: list[PlannedStep]


def first_paged(services: Iterable[Service], *, at: datetime) -> dict[UUID, list[User]]:
    """Whom a critical incident of each service would page first, by the service's id; in a fixed number of queries."""
    imagined = [Incident(service=service, severity=Severity.CRITICAL) for service in services]
    policies = policies_for(imagined)
    snapshots: dict[UUID, Snapshot] = {policy.pk: of_policy(policy) for policy in set(policies.values())}
    targets = Targets(snapshots.values())
    first = {
        pk: targets.people(snapshot["steps"][0], at=at)
        for pk, snapshot in snapshots.items()
        if snapshot["steps"]
    }
    return {
        incident.service_id: first.get(policies[incident.pk].pk, []) if incident.pk in policies else []
        for incident in imagined
    }


def plans_for(service: Service, *, at: datetime) -> list[Plan]:
    """What would happen to the service's incidents, worst severity first; those with one policy together."""
    imagined = [Incident(service=service, severity=severity) for severity in SEVERITIES]
    policies = policies_for(imagined)
    severities: dict[EscalationPolicy | None, list[Severity]] = {}
    for incident in imagined:
        severities.setdefault(policies.get(incident.pk), []).append(Severity(incident.severity))
    snapshots = {policy: of_policy(policy) for policy in severities if policy}
    targets = Targets(snapshots.values())
    return [
        Plan(taken, policy, _steps(policy, snapshots[policy], targets, at) if policy else [])
        for policy, taken in severities.items()
    ]


def _steps(policy: EscalationPolicy, snapshot: Snapshot, targets: Targets, at: datetime) -> list[PlannedStep]:
    result: list[PlannedStep] = []
    after = 0
    rows = sorted(policy.steps.all(), key=lambda step: step.position)
    for number, (row, step) in enumerate(zip(rows, snapshot["steps"], strict=True), start=1):
        people = targets.people(step, at=at)
        result.append(PlannedStep(number, after, row.delay_minutes, list(row.targets.all()), people))
        after += row.delay_minutes
    return result
