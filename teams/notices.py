"""Notices about schedules, and about one's account: written in the transaction that decided on them, sent by a task soon after.

At most once: a notice is marked as tried before the mail server is asked, so a process that dies in between costs the
notice and never doubles it. Only when the mail server did not take it, it is tried again. Pages are another matter
(notifications.outbox).
"""

import smtplib
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMessage
from django.db import transaction
from django.utils import timezone

from . import invitation_links, reset_links, signals
from .models import Notice, User

BATCH = 50
MOST_TRIES = 4
TRY_AGAIN_AFTER = timedelta(minutes=2)
# What is made only when the mail is sent, by what stands for it until then.
LINKS = {
    invitation_links.PLACE: invitation_links.path_for,
    reset_links.PLACE: reset_links.path_for,
}


def notice(
    user: User, *, key: str, subject: str, text: str, path: str, void_at: datetime | None = None
) -> Notice:
    """A notice that is due now and not saved yet. `path` is the page that it is about; from `void_at` on (default:
    after a day) it is not sent any more."""
    now = timezone.now()
    return Notice(
        user=user,
        key=key,
        subject=subject[:200],
        text=text,
        path=path,
        due_at=now,
        void_at=void_at or now + timedelta(days=1),
    )


def give(notices: Iterable[Notice]) -> None:
    """Write them down to be sent. One that a person has by its key already is not given again."""
    Notice.objects.bulk_create(list(notices), ignore_conflicts=True)


def send_due() -> int:
    """Send what is due, and say how many were tried. Any number may run at once."""
    tried = 0
    while claimed := _claim():
        for row in claimed:
            if row.void_at > timezone.now() and row.user.is_active:
                _send(row)
        tried += len(claimed)
    return tried


@transaction.atomic
def _claim() -> list[Notice]:
    now = timezone.now()
    due = Notice.objects.filter(due_at__lte=now).order_by("due_at")
    rows = list(due.select_for_update(skip_locked=True, of=("self",)).select_related("user")[:BATCH])
    for row in rows:
        row.due_at = None
        row.tries += 1
    Notice.objects.bulk_update(rows, ["due_at", "tries"])
    first = [row for row in rows if row.tries == 1 and row.void_at > now]
    if first:
        signals.notices_given.send(sender=Notice, notices=first)
    return rows


def _send(row: Notice) -> None:
    link = LINKS.get(row.path)
    path = link(row.user) if link else row.path
    email = EmailMessage(
        subject=row.subject,
        body=f"{row.text}\n\n{settings.SITE_URL}{path}\n",
        to=[row.user.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        email.send()
    except (BadHeaderError, UnicodeError, smtplib.SMTPRecipientsRefused) as error:
        row.failure = str(error)[:300]
    except (smtplib.SMTPException, OSError) as error:
        row.failure = str(error)[:300]
        if row.tries < MOST_TRIES:
            row.due_at = timezone.now() + TRY_AGAIN_AFTER * row.tries
    else:
        row.sent_at, row.failure = timezone.now(), ""
    row.save(update_fields=["sent_at", "failure", "due_at", "updated_at"])
