"""What a run remembers of its policy, as JSON:

{"policy": "Payments", "repeat": 1,
 "steps": [{"delay_seconds": 300, "targets": [{"kind": "user", "id": "…", "name": "Ana Ruiz"}]}]}
"""

from typing import TypedDict

from teams.models import User

from .enums import TargetKind
from .models import EscalationPolicy

# How long somebody to whom an incident is handed has it for themselves before the policy goes on.
REASSIGNED_DELAY_SECONDS = 300


class Target(TypedDict):
    kind: str
    id: str
    name: str


class Step(TypedDict):
    delay_seconds: int
    targets: list[Target]


class Snapshot(TypedDict):
    policy: str
    repeat: int
    steps: list[Step]


def of_policy(policy: EscalationPolicy) -> Snapshot:
    """The policy as it is now; its steps and their targets should be loaded."""
    return {
        "policy": policy.name,
        "repeat": policy.repeat_count,
        "steps": [
            {
                "delay_seconds": step.delay_minutes * 60,
                "targets": [
                    {"kind": row.kind, "id": str(row.target.pk), "name": str(row.target)}
                    for row in step.targets.all()
                    if row.target
                ],
            }
            for step in sorted(policy.steps.all(), key=lambda step: step.position)
        ],
    }


def of_person(user: User, *, then: EscalationPolicy | None) -> Snapshot:
    """The person first; when they do not answer, the steps of `then`."""
    first: Step = {
        "delay_seconds": REASSIGNED_DELAY_SECONDS,
        "targets": [{"kind": TargetKind.USER, "id": str(user.pk), "name": str(user)}],
    }
    rest = of_policy(then) if then else None
    return {
        "policy": f"{user}, then {rest['policy']}" if rest else str(user),
        "repeat": rest["repeat"] if rest else 1,
        "steps": [first, *(rest["steps"] if rest else [])],
    }
