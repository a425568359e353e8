"""A transport at the network's edge."""

from datetime import timedelta

from notifications import outbox
from notifications.enums import UNFINISHED
from notifications.models import Notification
from notifications.waking import GRACE


class Recorder:
    """Keeps what it is given, or raises what it is told to: one after the other, or always for an address."""

    account = "recorder"
    can_be_answered = False

    def __init__(self):
        self.messages = []
        self.faults = []
        self.faulty = {}  # address → what is raised for it
        self.off = ""

    def is_configured(self):
        return not self.off

    def why_off(self):
        return self.off

    def send(self, message):
        if fault := self.faulty.get(message.address):
            raise fault
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        self.messages.append(message)
        return f"id-{len(self.messages)}"

    @property
    def addresses(self):
        return [message.address for message in self.messages]


def work(clock):
    """A second of beat and workers."""
    woken = clock.now + GRACE  # or had their wake-up already
    due = Notification.objects.filter(status__in=UNFINISHED, due_at__lte=clock.now, wake_at__lte=woken)
    for pk in due.order_by("priority", "due_at").values_list("pk", flat=True):
        outbox.deliver(pk)


def work_for(clock, *, step=1, **span):
    """Beat and workers for so long, a second (or `step`) at a time."""
    end = clock.now + timedelta(**span)
    while clock.now < end:
        work(clock)
        clock.advance(seconds=step)
    work(clock)
