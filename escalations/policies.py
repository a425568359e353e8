"""Escalation policies are written here. Escalations that run have a copy, and go on as they began."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from openalert import audit
from openalert.base import BaseModel

from .enums import TargetKind
from .models import EscalationPolicy, EscalationStep, StepTarget


@dataclass(frozen=True)
class NewTarget:
    """Whom a step pages: a person, a schedule or a team, as the kind says."""

    kind: TargetKind
    row: BaseModel


@dataclass(frozen=True)
class NewStep:
    delay_seconds: int
    targets: Sequence[NewTarget]


@transaction.atomic
def save_policy(policy: EscalationPolicy, *, steps: Sequence[NewStep] | None = None) -> EscalationPolicy:
    """Save a policy, validated before, and put these steps in the place of all that it had; None leaves them."""
    policy.save()
    if steps is None:
        return policy
    policy.steps.all().delete()
    for position, step in enumerate(steps):
        written = EscalationStep.objects.create(
            policy=policy, position=position, delay_seconds=step.delay_seconds
        )
        targets = StepTarget.objects.bulk_create(
            StepTarget(step=written, kind=target.kind, **{target.kind.field: target.row})
            for target in step.targets
        )
        audit.created_all(targets)
    return policy
