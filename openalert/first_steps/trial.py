"""A page to try everything with: an alert comes in by the integration, and all that follows is what follows from any other."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from alerts import intake
from alerts.enums import EventStatus
from alerts.events import AlertEvent
from alerts.models import Integration
from escalations import queries
from incidents import lifecycle
from incidents.enums import Severity, Status
from incidents.timeline import Actor
from teams import overrides
from teams.models import User

from .exceptions import AlertNotTaken, NobodyWouldBePaged
from .progress import TEST_KEY, Progress

TAKEN_OVER_FOR = timedelta(hours=1)
TITLE = "Test page: does this reach you?"


def paged_first(progress: Progress) -> list[User]:
    """Whom a critical incident of the service would page now."""
    if progress.service is None:
        return []
    return queries.first_paged([progress.service], at=timezone.now()).get(progress.service.pk, [])


def may_take_over(progress: Progress, user: User, first: list[User]) -> bool:
    """Whether an override can make `user` the one who is paged, in place of `first`."""
    if progress.schedule is None or user not in progress.responders or user in first:
        return False
    policy = progress.policy
    steps = sorted(policy.steps.all(), key=lambda step: step.position) if policy else []
    return bool(steps) and any(
        target.schedule_id == progress.schedule.pk for target in steps[0].targets.all()
    )


def send(progress: Progress, *, by: User, takes_over: bool) -> None:
    """Fire the test alert. While the last one waits for an answer, that changes nothing; one that was answered is resolved
    first, for its incident to be a new one.

    With `takes_over`, `by` is on call for an hour before. Raises NobodyWouldBePaged, AlertNotTaken, and what
    overrides.add_override raises.
    """
    integration = progress.integration
    assert integration is not None
    with transaction.atomic():
        # Two clicks at once are one after the other.
        Integration.objects.select_for_update(no_key=True).get(pk=integration.pk)
        last = progress.test
        if last and last.status == Status.OPEN:
            return
        if takes_over and progress.schedule and may_take_over(progress, by, paged_first(progress)):
            now = timezone.now()
            overrides.add_override(
                schedule=progress.schedule, user=by, starts_at=now, ends_at=now + TAKEN_OVER_FOR, by=by
            )
        if not paged_first(progress):
            raise NobodyWouldBePaged
        if not integration.is_enabled:
            raise AlertNotTaken(f"{integration} is switched off: nothing is taken from it.")
        if last and last.status != Status.RESOLVED:
            lifecycle.resolve(incident_id=last.pk, actor=Actor.person(by, via="web"))
        [result] = intake.take(integration, [event(by)])
        if result.incident is None:
            raise AlertNotTaken


def event(by: User) -> AlertEvent:
    return AlertEvent(
        dedup_key=TEST_KEY,
        status=EventStatus.FIRING,
        title=TITLE,
        severity=Severity.CRITICAL,
        name=TEST_KEY,
        source="First steps",
        metadata={"description": f"{by} sends it, to see that pages arrive. Acknowledge it."},
    )
