"""Telling senders that there is something to do, and how long that may take."""

from collections.abc import Iterable
from datetime import timedelta

from openalert.wake import wake

from .enums import Channel
from .models import Notification
from .transports import TRANSPORTS, sends_together

DELIVER_TASK = "notifications.tasks.deliver"
FALL_BACK_TASK = "notifications.tasks.fall_back"
# How long a wake-up may take to reach a worker before the page counts as left behind.
GRACE = timedelta(seconds=2)
# How many pages one wake-up names. Few where each is a call of its own: other senders are to have some of them.
TOGETHER = 100
APART = 16


def wake_senders(pages: Iterable[Notification]) -> None:
    """Wake senders for pages when the transaction commits, the most urgent first; one message names many."""
    alike: dict[tuple[int, bool], list[str]] = {}
    for page in pages:
        together = sends_together(TRANSPORTS[Channel(page.channel)])
        alike.setdefault((page.priority, together), []).append(str(page.pk))
    for (priority, together), ids in sorted(alike.items()):
        most = TOGETHER if together else APART
        for start in range(0, len(ids), most):
            wake(DELIVER_TASK, *ids[start : start + most], priority=priority)
