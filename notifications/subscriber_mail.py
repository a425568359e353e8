"""Mail to subscribers of incidents: an outbox of its own, as they may have no account and no contact methods.

A mail is a row, written in the transaction that published the update. A try is committed before the mail server is
asked and its end after; a process that dies in between leaves a row whose lease runs out, and it is sent again: a
duplicate is better than silence. Its Message-ID stays the same, by which mail programs know it again. Pages have
priority: no mail is sent within the part of the provider's limit that is kept for them, or while it is paused.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from incidents import subscriptions
from incidents.markdown import as_html
from incidents.models import Stakeholder, StatusUpdate, Subscription
from openalert import sql
from openalert.wake import wake

from . import limits
from .backoff import delay_after
from .enums import UNFINISHED, Channel, NotificationStatus
from .exceptions import DeliveryError
from .models import ProviderAccount, SubscriberMail
from .plain import one_line
from .transports import TRANSPORTS
from .transports.email import send_mail

logger = logging.getLogger(__name__)

TASK = "notifications.tasks.deliver_subscriber_mail"
BATCH = 100
# A slow mail server must not take all the workers of its queue.
MOST_AT_ONCE = 4
# Longer than any call of a provider.
LEASE = timedelta(minutes=2)
# After that an update is no news.
TRIED_FOR = timedelta(hours=6)
KEPT_FOR = timedelta(days=90)
REMOVE = """
DELETE FROM notifications_subscribermail WHERE id IN (
    SELECT id FROM notifications_subscribermail
    WHERE created_at < %s AND status NOT IN ('pending', 'sending') LIMIT 5000
)
"""


@dataclass(frozen=True)
class Letter:
    """What `send_mail` hands over."""

    notification_id: UUID
    address: str
    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict)


def tell_of_updates(updates: Sequence[StatusUpdate]) -> int:
    """Write the mails of new updates; to be called inside the publishing transaction. Returns how many."""
    now = timezone.now()
    return _write(
        SubscriberMail(
            key=f"update:{update.pk}:{recipient.address.lower()}",
            address=recipient.address,
            user_id=recipient.user_id,
            stakeholder_id=recipient.stakeholder_id,
            update=update,
            due_at=now,
        )
        for update in updates
        for recipient in subscriptions.recipients_of(update.incident)
    )


def ask(stakeholders: Sequence[Stakeholder]) -> int:
    """Write the mails that ask whether they agree; to be called inside the deciding transaction."""
    now = timezone.now()
    return _write(
        SubscriberMail(
            key=f"ask:{stakeholder.pk}:{stakeholder.asked_at}",
            address=stakeholder.address,
            stakeholder=stakeholder,
            due_at=now,
        )
        for stakeholder in stakeholders
    )


def _write(mails: Any) -> int:
    rows = list(mails)
    SubscriberMail.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        wake(TASK)
    return len(rows)


def deliver_due() -> int:
    """Send what is due; returns how many were tried. Any number may run at once."""
    tried = 0
    while (mail := _claim(timezone.now())) is not None:
        if not _send(mail):
            break
        tried += 1
    return tried


@transaction.atomic
def _claim(now: datetime) -> SubscriberMail | None:
    """Lease what is due first, also when its last lease has run out. The try is committed before the call.

    One at a time: behind a slow mail server the lease of a second would run out before its turn.
    """
    _drop_what_is_not_wanted(now)
    provider = ProviderAccount.objects.filter(name=_account()).first()
    if provider and provider.closed_until:
        return None
    under_way = SubscriberMail.objects.filter(status=NotificationStatus.SENDING, due_at__gt=now)
    if under_way.count() >= MOST_AT_ONCE:
        return None
    due = SubscriberMail.objects.filter(status__in=UNFINISHED, due_at__lte=now).order_by("due_at", "pk")
    mail = (
        due.select_for_update(skip_locked=True, of=("self",))
        .select_related("user", "stakeholder", "update__incident__service__team")
        .first()
    )
    if mail and not _is_wanted(mail):  # behind very many others
        return None
    if mail:
        mail.status, mail.due_at, mail.tries = NotificationStatus.SENDING, now + LEASE, mail.tries + 1
        mail.save(update_fields=["status", "due_at", "tries", "updated_at"])
    return mail


def _drop_what_is_not_wanted(now: datetime) -> None:
    """Of what is due: whoever has unsubscribed since gets no more, and what is too old is no news."""
    due = SubscriberMail.objects.filter(status__in=UNFINISHED, due_at__lte=now).order_by("due_at", "pk")
    rows = due.select_for_update(skip_locked=True, of=("self",)).select_related(
        "user", "stakeholder", "update__incident"
    )
    dropped = []
    for mail in rows[:BATCH]:
        if not _is_wanted(mail):
            mail.status = NotificationStatus.CANCELLED
        elif mail.created_at < now - TRIED_FOR:
            mail.status = NotificationStatus.DEAD
            mail.last_error = mail.last_error or "its senders died or were too slow"
        else:
            break  # it is to be sent first
        dropped.append(mail)
    SubscriberMail.objects.bulk_update(dropped, ["status", "last_error"])


def _account() -> str:
    return TRANSPORTS[Channel.EMAIL].account


def _is_wanted(mail: SubscriberMail) -> bool:
    """Whoever has unsubscribed since gets no more."""
    if mail.update is None:
        return bool(mail.stakeholder and mail.stakeholder.confirmed_at is None)
    incident = mail.update.incident
    whose = Q(user=mail.user) if mail.user else Q(stakeholder=mail.stakeholder)
    to = Q(incident=incident) | Q(service=incident.service_id)
    return Subscription.objects.filter(whose & to).exists()


def _send(mail: SubscriberMail) -> bool:
    """Hand it over, outside any transaction. False when the provider's limit is used up: it waits, as the others do."""
    now = timezone.now()
    if wait := limits.take(_account(), mail.pk, is_critical=False, now=now):
        mail.status, mail.due_at, mail.tries = NotificationStatus.PENDING, now + wait, mail.tries - 1
        mail.save(update_fields=["status", "due_at", "tries", "updated_at"])
        return False
    try:
        mail.provider_id = send_mail(render(mail))
    except DeliveryError as error:
        mail.last_error = str(error)
        mail.status = NotificationStatus.DEAD if error.permanent else NotificationStatus.PENDING
        mail.due_at = now + (error.retry_after or delay_after(mail.tries))
        logger.warning("mail %s to a subscriber failed: %s", mail.pk, error)
    except Exception as error:
        # A bug must not leave the row to its lease, over and over.
        logger.exception("mail %s to a subscriber failed", mail.pk)
        mail.last_error, mail.status = f"internal error: {error!r}", NotificationStatus.PENDING
        mail.due_at = now + delay_after(mail.tries + 5)
    else:
        mail.status, mail.sent_at, mail.last_error = NotificationStatus.SENT, timezone.now(), ""
    mail.save(update_fields=["status", "due_at", "last_error", "sent_at", "provider_id", "updated_at"])
    return True


def render(mail: SubscriberMail) -> Letter:
    """With its update, incident, service and reader loaded."""
    if mail.update is None:
        assert mail.stakeholder
        link = subscriptions.confirm_link(mail.stakeholder)
        text = render_to_string("notifications/subscriber_ask.txt", {"link": link})
        return Letter(mail.pk, mail.address, "Do you want updates about incidents?", text, "")
    update, incident = mail.update, mail.update.incident
    recipient = subscriptions.Recipient(mail.address, mail.user_id, mail.stakeholder_id)
    end = subscriptions.end_link(recipient, incident)
    context = {
        "update": update,
        "incident": incident,
        "title": one_line(incident.title),
        "html": as_html(update.text),
        "end": end,
        # Others have no account to sign in with.
        "href": urljoin(settings.SITE_URL, incident.get_absolute_url()) if mail.user_id else "",
    }
    subject = one_line(f"{update.get_state_display()}: {incident.service.name}: {incident.title}")
    return Letter(
        mail.pk,
        mail.address,
        subject[:200],
        render_to_string("notifications/subscriber_update.txt", context),
        render_to_string("notifications/subscriber_update.html", context),
        # RFC 2369 and RFC 8058: one click in the mail program, without opening a page.
        {"List-Unsubscribe": f"<{end}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    )


def remove_old() -> int:
    """What is over goes after a while: addresses are not kept for longer than they are of use."""
    return sql.execute(REMOVE, [timezone.now() - KEPT_FOR])
