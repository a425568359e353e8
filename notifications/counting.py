"""Counting what became of messages, for the metrics."""

from collections.abc import Iterable

from openalert import figures

from .models import Notification


def count_sent(account: str, *, messages: int, notifications: Iterable[Notification]) -> None:
    """So many messages were taken; each of their notifications (with `sent_at`) had a time to be sent at."""
    figures.count(figures.PAGES, account, "sent", amount=messages)
    for notification in notifications:
        if notification.sent_at:
            lateness = (notification.sent_at - notification.due_at).total_seconds()
            figures.observe(figures.PAGE_LATENESS, lateness, account)


def count_failed(account: str, *, is_dead: bool, is_permanent: bool, is_asked_to_wait: bool) -> None:
    """A message was not taken; `is_dead` when it will not be tried again."""
    figures.count(figures.PAGES, account, "dead" if is_dead else "failed")
    kind = "later" if is_asked_to_wait else "permanent" if is_permanent else "temporary"
    figures.count(figures.PROVIDER_ERRORS, account, kind)
