"""Overrides: somebody takes a shift. The past is never rewritten, so the record of who was on call stays true."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from .exceptions import EndsBeforeStart, NotAResponder, OverrideInThePast, OverrideIsOver
from .models import Override, Schedule, User
from .queries import responders_of


def add_override(
    *,
    schedule: Schedule,
    user: User,
    starts_at: datetime,
    ends_at: datetime,
    by: User,
    replaces: User | None = None,
) -> Override:
    """Put `user` on call instead of whoever else would be, or instead of only `replaces` while they are on call, between
    two instants (aware).

    A start that has passed becomes now. Raises EndsBeforeStart, OverrideInThePast, or NotAResponder for
    somebody who could not answer a page of the schedule's team.
    """
    now = timezone.now()
    if ends_at <= starts_at:
        raise EndsBeforeStart(field="ends_at")
    if ends_at <= now:
        raise OverrideInThePast(field="ends_at")
    if not responders_of(schedule.team).filter(pk=user.pk).exists():
        raise NotAResponder(field="user")
    return Override.objects.create(
        schedule=schedule,
        user=user,
        replaces=replaces,
        starts_at=max(starts_at, now),
        ends_at=ends_at,
        created_by=by,
    )


@transaction.atomic
def remove_override(*, override_id: UUID) -> None:
    """Take it back: one that has begun ends now, one that has not begins never. Raises OverrideIsOver."""
    override = Override.objects.select_for_update().get(pk=override_id)
    now = timezone.now()
    if override.ends_at <= now:
        raise OverrideIsOver
    if override.starts_at < now:
        override.ends_at = now
        override.save(update_fields=["ends_at", "updated_at"])
    else:
        override.delete()
