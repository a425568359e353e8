"""What providers tell of a message after they took it: delivered, bounced, answered by a machine, …"""

import logging
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import rooms, timeline
from incidents.enums import Kind

from . import signals
from .enums import AttemptStatus, Channel, NotificationStatus, Receipt
from .models import DeliveryAttempt, Notification

logger = logging.getLogger(__name__)

LIVE = "notification.receipt"
# Steps on the way, which the timeline does not tell.
PASSING = (Receipt.PASSED_ON, Receipt.RINGING)
PHRASES: dict[Receipt, str] = {
    Receipt.DELIVERED: "delivered",
    Receipt.ANSWERED: "the call was answered",
    Receipt.MACHINE: "a machine answered the call",
    Receipt.UNANSWERED: "the call was not answered",
    Receipt.UNDELIVERED: "not delivered",
    Receipt.BOUNCED: "bounced",
    Receipt.UNSUBSCRIBED: "unsubscribed",
}


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

    Providers tell twice and out of order: what counts for less than what is known changes nothing. A page that did
    not arrive, about an incident that still waits for an answer, is dead from then on, and told as a failure.
    """
    notification = (
        Notification.objects.select_for_update(of=("self",))
        .select_related("user", "incident__service")
        .filter(pk=notification_id)
        .first()
    )
    if notification is None:
        return False
    attempt = _attempt(notification, provider_id)
    if attempt is None:
        logger.warning("%s told of a message %s that is not ours", notification.channel, provider_id)
        return False
    if Receipt(attempt.receipt).rank >= receipt.rank:
        return False
    attempt.receipt, attempt.receipt_at, attempt.receipt_detail = receipt, timezone.now(), detail[:1000]
    attempt.save(update_fields=["receipt", "receipt_at", "receipt_detail", "updated_at"])
    _follow(notification, receipt, detail, breaks_method)
    return True


def _attempt(notification: Notification, provider_id: str) -> DeliveryAttempt | None:
    """The attempt that made the message. The provider may be quicker than the commit of its answer."""
    attempts = list(notification.attempts.order_by("-number"))
    for attempt in attempts:
        # SendGrid tells its id with the server's behind it.
        if attempt.provider_id and f"{provider_id}.".startswith(f"{attempt.provider_id}."):
            return attempt
    unnamed = (AttemptStatus.STARTED, AttemptStatus.ABANDONED)
    return next((a for a in attempts if a.status in unnamed and not a.provider_id), None)


def _follow(notification: Notification, receipt: Receipt, detail: str, breaks_method: bool) -> None:
    incident, channel = notification.incident, Channel(notification.channel)
    words = f"{PHRASES[receipt]} ({detail})" if detail and receipt.is_failure else PHRASES.get(receipt, "")
    is_failed = receipt.is_failure and notification.status == NotificationStatus.SENT
    if is_failed:
        notification.status, notification.last_error = NotificationStatus.DEAD, words
        notification.save(update_fields=["status", "last_error", "updated_at"])
    if incident is None:
        told = {"notification_id": str(notification.pk)}
        rooms.publish_to_user(notification.user_id, LIVE, told)
    elif receipt in PASSING:
        rooms.publish_incident(incident, LIVE, notification_id=str(notification.pk))
    elif receipt.is_failure:
        timeline.record(
            incident, Kind.PAGE_FAILED, user=str(notification.user), channel=channel.phrase, error=words
        )
    else:
        timeline.record(
            incident, Kind.PAGE_RECEIPT, user=str(notification.user), channel=channel.phrase, receipt=words
        )
    if is_failed:
        signals.pages_undelivered.send(
            sender=Notification, notifications=[notification], breaks_method=breaks_method
        )
