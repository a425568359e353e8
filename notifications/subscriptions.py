"""People who tell a provider that they want no more messages, or want them again (Twilio: opt-out keywords).

The provider refuses every message in between. We do as it does, so that no page has to fail first, and the person is told
what it means here.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from . import contacts, notices
from .enums import Channel
from .models import ContactMethod
from .transports import account_of

STOPPED = "STOP was replied from this number. To be paged there again, reply START."
STOP = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
START = ("START", "UNSTOP")


def keyword(text: str, opt_out_type: str = "") -> str:
    """“STOP” or “START” when a text message is one of these, by whatever name; else "".

    `opt_out_type` is what Twilio says where an account has keywords of its own.
    """
    word = text.strip().upper()
    for name, words in (("STOP", STOP), ("START", START)):
        if opt_out_type == name or (not opt_out_type and word in words):
            return name
    return ""


def is_known(number: str) -> bool:
    return _at(number).exists()


@transaction.atomic
def stop(number: str) -> int:
    """Use the number for text messages no more, and tell its owners. Returns how many methods that are news for."""
    now, stopped = timezone.now(), 0
    for method in _methods_at(number):
        if contacts.mark_broken(method, reason=STOPPED, now=now):
            stopped += 1
            account = account_of(method.channel, method.address)
            notices.tell_owner_of_broken_method(method, reason=STOPPED, account=account, now=now)
    return stopped


@transaction.atomic
def start(number: str) -> int:
    """Use the number again: whatever was wrong with it, its person reads messages there. Returns how many methods."""
    broken = [method for method in _methods_at(number) if method.broken_at]
    for method in broken:
        contacts.mark_working(method)
    return len(broken)


def _methods_at(number: str) -> list[ContactMethod]:
    return list(_at(number).select_related("user").select_for_update(of=("self",)).order_by("pk"))


def _at(number: str) -> QuerySet[ContactMethod]:
    return ContactMethod.objects.filter(channel=Channel.SMS, address=number, verified_at__isnull=False)
