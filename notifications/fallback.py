"""Another way to a person when a page failed for good or waits too long for its provider.

First the person's next method, at once; when none is left that may reach anybody of the step, the fact is told
upward and the next step is carried out early. Like a delivery it is work that a row asks for (`needs_fallback`), in
a transaction of its own: a worker's death only delays it to the sweep.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity
from openalert.words import listed

from . import quiet, signals
from .enums import Channel, Hold, NotificationStatus
from .leases import is_needed
from .models import ContactMethod, Notification
from .transports import TRANSPORTS, account_of
from .waking import GRACE, wake_senders


@transaction.atomic
def fall_back(notification_id: UUID) -> None:
    """Find the other way for a page that needs one. Repeating it, or doing it twice at once, is harmless.

    It locks the incident first, as answers do: of a step's pages that fail at the same time one comes after the
    other, so the last one sees that it is the last.
    """
    now = timezone.now()
    wanting = Notification.objects.filter(pk=notification_id, needs_fallback=True)
    incident_id = wanting.values_list("incident", flat=True).first()
    if incident_id is None:
        return
    incident = lifecycle.lock_one(incident_id)
    page = wanting.select_related("user", "contact_method").first()
    if page is None:
        return
    page.incident = incident
    if is_needed(page):
        _go_on(page, now)
    wanting.update(needs_fallback=False, fell_back_at=now, updated_at=now)


def _go_on(page: Notification, now: datetime) -> None:
    of_step = list(
        Notification.objects.filter(run_id=page.run_id, loop=page.loop, step=page.step)
        .exclude(pk=page.pk)
        .select_related("user")
        .prefetch_related("attempts")
    )
    own = [other for other in of_step if other.user_id == page.user_id]
    if planned := _next_planned(own, now):
        _send_now(planned, now)
    elif any(may_reach(other) for other in own):
        return
    elif method := _next_unplanned(page, own, now):
        _add(page, method, now)
    elif not any(may_reach(other) or other.needs_fallback for other in of_step):
        _tell_exhausted(page, of_step)


def may_reach(page: Notification) -> bool:
    """Whether a page has reached its person, or still may before long.

    In the app it has once it was seen: nobody may have had it open. By phone it has not when nobody or a machine took
    the call.
    """
    if page.channel == Channel.IN_APP:
        return page.seen_at is not None
    if page.status == NotificationStatus.SENT:
        return not page.was_unheard
    return page.is_unfinished and page.hold != Hold.QUIET_HOURS and page.fell_back_at is None


def _next_planned(own: Sequence[Notification], now: datetime) -> Notification | None:
    """The person's next page of the step that waits for nothing but its rule's delay."""
    waiting = [
        page
        for page in own
        if page.status == NotificationStatus.PENDING
        and page.channel != Channel.IN_APP
        and page.due_at > now
        and not page.hold
        and not page.attempt_count
    ]
    return min(waiting, key=lambda page: (page.due_at, page.pk), default=None)


def _send_now(page: Notification, now: datetime) -> None:
    taken = Notification.objects.filter(
        pk=page.pk, status=NotificationStatus.PENDING, attempt_count=0
    ).update(due_at=now, wake_at=now + GRACE, updated_at=now)
    if taken:
        wake_senders([page])


def _next_unplanned(page: Notification, own: Sequence[Notification], now: datetime) -> ContactMethod | None:
    """A working method of the person that no rule uses for this urgency; rather not of the failing provider."""
    used = {page.contact_method_id, *(other.contact_method_id for other in own)}
    methods = ContactMethod.objects.filter(user=page.user).exclude(channel=Channel.IN_APP)
    others = [
        method
        for method in methods.order_by("created_at")
        if method.is_working and method.pk not in used and TRANSPORTS[Channel(method.channel)].is_configured()
    ]
    if page.priority != Severity.CRITICAL.rank:
        windows = quiet.windows_of([page.user]).get(page.user.pk, [])
        zone = page.user.tzinfo
        others = [m for m in others if quiet.earliest(windows, method_id=m.pk, at=now, zone=zone) == now]
    failing = account_of(page.channel, page.address)
    return min(others, key=lambda m: account_of(m.channel, m.address) == failing, default=None)


def _add(page: Notification, method: ContactMethod, now: datetime) -> None:
    extra = Notification(
        purpose=page.purpose,
        user=page.user,
        incident=page.incident,
        contact_method=method,
        channel=method.channel,
        address=method.address,
        run_id=page.run_id,
        loop=page.loop,
        step=page.step,
        priority=page.priority,
        due_at=now,
        wake_at=now + GRACE,
    )
    Notification.objects.bulk_create([extra], ignore_conflicts=True)
    wake_senders([extra])


def _tell_exhausted(page: Notification, of_step: Sequence[Notification]) -> None:
    if page.incident is None or page.run_id is None:
        return
    names = sorted({str(other.user) for other in (page, *of_step)})
    reason = f"no contact method of {listed(names)} works"
    fact = signals.Exhausted(page.incident.pk, page.run_id, page.loop, page.step)
    signals.notifications_exhausted.send(sender=Notification, steps=[fact])
    timeline.record(page.incident, Kind.NOBODY_TO_PAGE, reason=reason)
