"""What providers tell of a message after they took it: delivered, bounced, answered by a machine, …"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import rooms, timeline
from incidents.enums import Kind
from openalert.wake import wake

from . import bundles, messages, results
from .enums import AttemptStatus, Channel, NotificationStatus, Purpose, Receipt
from .leases import want_fallback
from .models import DeliveryAttempt, Notification
from .plain import printable
from .results import Failure
from .told import Told
from .transports import Message, account_of
from .waking import FALL_BACK_TASK

logger = logging.getLogger(__name__)

LIVE = "notification.receipt"
# Steps on the way, which the timeline does not tell.
PASSING = (Receipt.PASSED_ON, Receipt.RINGING)


@transaction.atomic
def take(
    *,
    notification_id: UUID,
    provider_id: str,
    receipt: Receipt,
    detail: str = "",
    breaks_method: bool = False,
) -> bool:
    """Note what became of a message; False when we know no such one, or know more already.

    Providers tell twice and out of order: what counts for less than what is known changes nothing. What is told of
    a bundle is told of each page in it. A page that did not arrive is dead from then on, and goes another way like one
    that its provider refused; a call that nobody or a machine took goes another way as well.
    """
    attempt = _attempt(notification_id, provider_id)
    if attempt is None:
        logger.warning("a provider told of a message %s that is not ours", provider_id)
        return False
    of_message = DeliveryAttempt.objects.filter(pk=attempt.pk)
    if attempt.request_id:
        of_message = DeliveryAttempt.objects.filter(request_id=attempt.request_id)
    pages = {
        page.pk: page
        for page in Notification.objects.select_for_update(of=("self",))
        .select_related("user", "incident__service", "contact_method")
        .filter(pk__in=of_message.values("notification"))
        .order_by("pk")
    }
    # Read under the lock, as another callback may have been here meanwhile.
    attempts = [known for known in of_message if Receipt(known.receipt).rank < receipt.rank]
    if not attempts:
        return False
    now, detail = timezone.now(), printable(detail)[:1000]
    for known in attempts:
        known.receipt, known.receipt_at, known.receipt_detail = receipt, now, detail
        known.updated_at = now
        if not known.provider_id:  # our own note of it is still to come, or never will
            known.provider_id = printable(provider_id)[:255]
    DeliveryAttempt.objects.bulk_update(
        attempts, ["receipt", "receipt_at", "receipt_detail", "provider_id", "updated_at"]
    )
    told = Told(receipt, detail, breaks_method)
    current = [pages[known.notification_id] for known in attempts if _is_last(known, pages)]
    _tell([pages[known.notification_id] for known in attempts], told)
    page = attempt.notification
    _follow(current, told, attempt.account or account_of(page.channel, page.address), now)
    return True


def _attempt(notification_id: UUID, provider_id: str) -> DeliveryAttempt | None:
    """The attempt that made the message. The provider may be quicker than the commit of its answer."""
    attempts = list(
        DeliveryAttempt.objects.filter(notification=notification_id)
        .select_related("notification")
        .order_by("-number")
    )
    for attempt in attempts:
        # SendGrid tells its id with the server's behind it.
        if attempt.provider_id and f"{provider_id}.".startswith(f"{attempt.provider_id}."):
            return attempt
    unnamed = (AttemptStatus.STARTED, AttemptStatus.ABANDONED)
    return next((a for a in attempts if a.status in unnamed and not a.provider_id), None)


def _is_last(attempt: DeliveryAttempt, pages: dict[UUID, Notification]) -> bool:
    """Whether the page was not sent again since, which counts then."""
    return attempt.number == pages[attempt.notification_id].attempt_count


def _tell(pages: Sequence[Notification], told: Told) -> None:
    entries = []
    for page in pages:
        if page.incident is None or page.purpose == Purpose.NOTICE:
            rooms.publish_to_user(page.user_id, LIVE, {"notification_id": str(page.pk)})
        elif told.receipt in PASSING:
            rooms.publish_incident(page.incident, LIVE, notification_id=str(page.pk))
            rooms.publish_to_user(page.user_id, LIVE, {"notification_id": str(page.pk)})
        else:
            is_failed = told.receipt.is_failure and not told.is_unheard
            kind = Kind.PAGE_FAILED if is_failed else Kind.PAGE_RECEIPT
            data: dict[str, Any] = {
                "user": str(page.user),
                "channel": Channel(page.channel).phrase,
                "error" if is_failed else "receipt": told.words,
            }
            entries.append(timeline.entry(page.incident, kind, **data))
            rooms.publish_to_user(page.user_id, LIVE, {"notification_id": str(page.pk)})
    if entries:
        timeline.record_all(entries)


def _follow(pages: list[Notification], told: Told, account: str, now: datetime) -> None:
    """What becomes of the pages (rows locked) whose message it was."""
    sent = [page for page in pages if page.status == NotificationStatus.SENT]
    if not sent:
        # It is still to be written down that they were taken: results.py will see that they did not arrive.
        if told.breaks_method:
            results.break_method(pages, Failure(told.words, breaks_method=True), account, now)
        return
    if told.is_unheard:
        for page in sent:
            want_fallback(page)
            page.save(update_fields=["needs_fallback", "updated_at"])
    elif told.receipt.is_failure:
        failure = Failure(told.words, permanent=True, breaks_method=told.breaks_method)
        results.bury(sent, failure, _as_sent(sent[0]), account=account, now=now)
    for page in sent:
        if page.needs_fallback:
            wake(FALL_BACK_TASK, str(page.pk))


def _as_sent(page: Notification) -> Message:
    return messages.render_together(bundles.sent_with(page))
