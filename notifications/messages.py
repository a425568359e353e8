"""What a notification says, rendered for its channel at the moment of sending from templates/notifications/."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from . import answer_links, sms_text
from .codes import code_of
from .enums import ACTIONS_FOR, Channel, Purpose
from .models import Notification
from .plain import one_line
from .transports import Message

LONGEST_SUBJECT = 200
LONGEST_SPOKEN_TITLE = 200
LONGEST_PUSH_TITLE = 300
LONGEST_CHAT_TITLE = 1024
SHORTEST_SMS_TITLE = 20  # below, a second segment is worth its price
MOST_SMS_SEGMENTS = 3  # what names alone may take up


def render(notification: Notification) -> Message:
    """The message for a notification with its user, contact method, incident and service loaded.

    Everything that came with an alert is text, never markup, in each of the channels: one line in a subject, escaped
    in HTML, without control characters in what is spoken.
    """
    incident = notification.incident
    context = _context(notification)
    # A title may hold line breaks, and a subject is one line: nobody writes headers through an alert.
    subject = one_line(render_to_string("notifications/page_subject.txt", context))
    method = notification.contact_method
    return Message(
        notification_id=notification.pk,
        user=notification.user,
        address=notification.address,
        subject=subject[:LONGEST_SUBJECT],
        text=TEXTS[Channel(notification.channel)](context),
        html=render_to_string("notifications/page.html", context)
        if notification.channel == Channel.EMAIL
        else "",
        href=context["href"],
        severity=incident.severity if incident else "low",
        facts=_facts(notification),
        answers=context["answers"],
        keys=method.keys if method else {},
        actions=ACTIONS_FOR[Purpose(notification.purpose)],
        is_page=notification.purpose == Purpose.PAGE,
    )


def spoken(notification: Notification) -> str:
    """The same as it is said on the phone: words only, whatever the title holds."""
    return _voice(_context(notification))


def _context(notification: Notification) -> dict[str, Any]:
    incident = notification.incident
    path = incident.get_absolute_url() if incident else reverse("me")
    code = code_of(notification.pk) if notification.purpose == Purpose.VERIFICATION else ""
    return {
        "purpose": notification.purpose,
        "notification": notification,
        "incident": incident,
        "user": notification.user,
        "href": urljoin(settings.SITE_URL, path),
        "answers": answer_links.links_for(notification),
        "code": code,
        "code_spoken": ", ".join(code),
        "service": one_line(incident.service.name) if incident else "",
        "title": one_line(incident.title) if incident else "",
    }


def _facts(notification: Notification) -> tuple[tuple[str, str], ...]:
    incident = notification.incident
    if incident is None:
        return ()
    since = timezone.localtime(incident.opened_at, notification.user.tzinfo)
    return (
        ("Service", one_line(incident.service.name)),
        ("Severity", str(incident.get_severity_display())),
        ("Since", f"{since:%-d %b %Y, %H:%M %Z}"),
    )


def _email(context: dict[str, Any]) -> str:
    return render_to_string("notifications/page.txt", context).strip() + "\n"


def _sms(context: dict[str, Any]) -> str:
    """In one segment, the title cut as short as that takes; in more only where little of it would be left."""

    def text(title: str, service: str) -> str:
        given = {**context, "title": title, "service": service}
        return sms_text.plain(render_to_string("notifications/texts/sms.txt", given))

    title, service = sms_text.plain(context["title"]), sms_text.cut(sms_text.plain(context["service"]), 30)
    shortest = sms_text.cut(title, SHORTEST_SMS_TITLE)
    segments = min(sms_text.size(text(shortest, service)).segments, MOST_SMS_SEGMENTS)
    for length in range(len(title), 0, -1):
        tried = text(sms_text.cut(title, length), service)
        if sms_text.size(tried).segments <= segments:
            return tried
    return text("", service)


def _voice(context: dict[str, Any]) -> str:
    title = context["title"].rstrip(".")[:LONGEST_SPOKEN_TITLE]
    return one_line(render_to_string("notifications/texts/voice.txt", {**context, "title": title}))


def _push(context: dict[str, Any]) -> str:
    given = {**context, "title": context["title"][:LONGEST_PUSH_TITLE]}
    return one_line(render_to_string("notifications/texts/push.txt", given))


def _chat(context: dict[str, Any]) -> str:
    given = {**context, "title": context["title"][:LONGEST_CHAT_TITLE]}
    return render_to_string("notifications/texts/chat.txt", given).strip()


TEXTS: dict[Channel, Callable[[dict[str, Any]], str]] = {
    Channel.IN_APP: _email,
    Channel.EMAIL: _email,
    Channel.SMS: _sms,
    Channel.VOICE: _voice,
    Channel.WEB_PUSH: _push,
    Channel.MOBILE_PUSH: _push,
    Channel.SLACK: _chat,
    Channel.TEAMS: _chat,
    Channel.APPRISE: _chat,
}
