"""What a run remembers of its policy, as JSON:

{"policy": "Payments", "repeat": 1, "acknowledge_timeout_seconds": null,
 "steps": [{"delay_seconds": 300, "targets": [{"kind": "user", "id": "…", "name": "Ana Ruiz"}]}]}

A round robin's target also has `turn`, the key of escalations.turns.
"""

from typing import NotRequired, TypedDict

from teams.models import User

from .enums import TargetKind
from .models import EscalationPolicy, EscalationStep, StepTarget

# How long somebody to whom an incident is handed has it for themselves before the policy goes on.
REASSIGNED_DELAY_SECONDS = 300


class Target(TypedDict):
    kind: str
    id: str
    name: str
    turn: NotRequired[str]


class Step(TypedDict):
    delay_seconds: int
    targets: list[Target]


class Snapshot(TypedDict):
    policy: str
    repeat: int
    acknowledge_timeout_seconds: NotRequired[int | None]
    steps: list[Step]


def of_policy(policy: EscalationPolicy) -> Snapshot:
    """The policy as it is now; its steps and their targets should be loaded."""
    timeout = policy.acknowledge_timeout_minutes
    return {
        "policy": policy.name,
        "repeat": policy.repeat_count,
        "acknowledge_timeout_seconds": timeout * 60 if timeout else None,
        "steps": [
            {
                "delay_seconds": step.delay_seconds,
                "targets": [_target(step, row) for row in step.targets.all() if row.target],
            }
            for step in sorted(policy.steps.all(), key=lambda step: step.position)
        ],
    }


def _target(step: EscalationStep, row: StepTarget) -> Target:
    assert row.target is not None
    target: Target = {"kind": row.kind, "id": str(row.target.pk), "name": str(row)}
    if row.kind == TargetKind.ROUND_ROBIN:
        # By the step's place, not its id: editing a policy makes its steps anew, and turns go on.
        target["turn"] = f"{step.policy_id}/{step.position}/{row.schedule_id}"
    return target


def of_person(user: User, *, then: EscalationPolicy | None) -> Snapshot:
    """The person first; when they do not answer, the steps of `then`."""
    first: Step = {"delay_seconds": REASSIGNED_DELAY_SECONDS, "targets": [person(user)]}
    rest = of_policy(then) if then else None
    return {
        "policy": f"{user}, then {rest['policy']}" if rest else str(user),
        "repeat": rest["repeat"] if rest else 1,
        "acknowledge_timeout_seconds": rest["acknowledge_timeout_seconds"] if rest else None,
        "steps": [first, *(rest["steps"] if rest else [])],
    }


def person(user: User) -> Target:
    return {"kind": TargetKind.USER, "id": str(user.pk), "name": str(user)}


def with_person(snapshot: Snapshot, user: User, *, step: int) -> Snapshot:
    """The same, with the person among the targets of a step."""
    steps = list(snapshot["steps"])
    if step < len(steps) and not any(target["id"] == str(user.pk) for target in steps[step]["targets"]):
        steps[step] = {**steps[step], "targets": [*steps[step]["targets"], person(user)]}
    return {**snapshot, "steps": steps}
