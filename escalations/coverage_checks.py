"""What this app knows of who is paged: steps of policies that reach nobody."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from teams import coverage
from teams.coverage import Finding
from teams.models import Schedule, Team

from .models import EscalationPolicy, EscalationStep


def connect() -> None:
    coverage.checks.append(empty_steps)


def empty_steps(teams: Sequence[Team], schedules: Sequence[Schedule], at: datetime) -> Iterator[Finding]:
    """Steps without a target, and policies without a step."""
    by_id = {team.pk: team for team in teams}
    for policy in EscalationPolicy.objects.filter(team__in=by_id, steps__isnull=True):
        detail = f"The escalation policy “{policy.name}” has no steps: it pages nobody."
        yield Finding("step_empty", detail, by_id[policy.team_id])
    steps = EscalationStep.objects.filter(policy__team__in=by_id, targets__isnull=True)
    for step in steps.select_related("policy"):
        detail = f"Step {step.position + 1} of the escalation policy “{step.policy.name}” has no target: it pages nobody."
        yield Finding("step_empty", detail, by_id[step.policy.team_id])
