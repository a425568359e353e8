"""Notices: what people are told about the paging itself. They travel through the outbox like pages."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse

from incidents.enums import Severity, Urgency
from teams.models import User

from . import contacts, texts
from .enums import Channel, Purpose
from .models import ContactMethod, Notification
from .plain import one_line
from .transports import Message, account_of
from .waking import GRACE, wake_senders

# Who is told that something of theirs is broken is not woken up for it.
QUIET_CHANNELS = (Channel.IN_APP, Channel.EMAIL)


def tell(
    users: Iterable[User], *, subject: str, text: str, path: str, avoid_account: str = "", now: datetime
) -> list[Notification]:
    """Tell people as urgently as a page: by all methods of their rules for high urgency at once.

    To be called inside the deciding transaction. `avoid_account` is the provider that fails: it is used for those
    alone who have nothing else.
    """
    users = list(users)
    rules = contacts.rules_for(users, Urgency.HIGH)
    payload = {"subject": subject, "text": text, "path": path}
    notices = []
    for user in users:
        methods = [rule.contact_method for rule in rules.get(user.pk, [])]
        notices += [_notice(user, method, payload, now) for method in _spared(methods, avoid_account)]
    return _write(notices)


def tell_owner_of_broken_method(
    method: ContactMethod, *, reason: str, account: str, now: datetime
) -> list[Notification]:
    """Tell a person that pages no longer reach them by one of their methods, by those that wake nobody.

    Without any other one the notice goes to the address that they sign in with.
    """
    payload = {
        "subject": f"You are no longer paged by {method}",
        "text": f"Its provider says: {reason}\n\nUntil you mend it, your other contact methods are used.",
        "path": reverse("me"),
    }
    own = ContactMethod.objects.filter(user=method.user, channel__in=QUIET_CHANNELS).exclude(pk=method.pk)
    methods = _spared([other for other in own if other.is_working], account)
    notices = [_notice(method.user, other, payload, now) for other in methods]
    if not any(other.channel == Channel.EMAIL for other in methods) and not is_address(method, method.user):
        notices.append(_notice(method.user, None, payload, now))
    return _write(notices)


def is_address(method: ContactMethod, user: User) -> bool:
    """Whether the method is email to the address that the person signs in with."""
    return method.channel == Channel.EMAIL and method.address.lower() == user.email.lower()


def _spared(methods: list[ContactMethod], account: str) -> list[ContactMethod]:
    """Those that do not need the failing account; all when there are no others."""
    others = [method for method in methods if account_of(method.channel, method.address) != account]
    return others or methods


def _notice(user: User, method: ContactMethod | None, payload: dict[str, str], now: datetime) -> Notification:
    return Notification(
        purpose=Purpose.NOTICE,
        user=user,
        contact_method=method,
        channel=method.channel if method else Channel.EMAIL,
        address=method.address if method else user.email,
        payload=payload,
        priority=1,
        due_at=now,
        wake_at=now + GRACE,
    )


def _write(notices: list[Notification]) -> list[Notification]:
    Notification.objects.bulk_create(notices)
    wake_senders(notices)
    return notices


def render(notice: Notification) -> Message:
    """The message for a notice about the paging itself, with its user and contact method loaded."""
    said = notice.payload
    subject, text = said["subject"], said["text"]
    context = {
        "kind": "paging",
        "user": notice.user,
        "subject": subject,
        "text": text,
        "title": one_line(f"{subject}. {text}"),
        "service": "",
        "href": urljoin(settings.SITE_URL, said["path"]),
    }
    return texts.compose(notice, context, letter="notice", severity=Severity.LOW)
