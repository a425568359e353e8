"""How words are made to fit a channel: a text message counts segments, a phone call speaks, a mail has room."""

from collections.abc import Callable, Sequence
from typing import Any

from django.template.loader import render_to_string

from . import answer_links, sms_text
from .enums import Action, Channel
from .models import Notification
from .plain import one_line
from .transports import Message

LONGEST_SUBJECT = 200
LONGEST_SPOKEN_TITLE = 200
LONGEST_PUSH_TITLE = 300
LONGEST_CHAT_TITLE = 1024
SHORTEST_SMS_TITLE = 20  # below, a second segment is worth its price
MOST_SMS_SEGMENTS = 3  # what names alone may take up
LONGEST_SMS_SERVICE = 30


def compose(
    notification: Notification,
    context: dict[str, Any],
    *,
    letter: str,
    severity: str,
    actions: Sequence[Action] = (),
    facts: Sequence[tuple[str, str]] = (),
) -> Message:
    """The message for a notification with its user and contact method loaded, in its channel's own length.

    `context` has `kind`, which the short texts (templates/notifications/texts/) tell apart, `href`, and `title` and
    `service`, which are one line each and cut where room is short. `letter` names the templates of the long text. All
    that came with an alert is text, never markup: one line in a subject, escaped in HTML, without control characters in
    what is spoken.
    """
    channel, method = Channel(notification.channel), notification.contact_method
    context = {**context, "answers": answer_links.links_for(notification, actions), "letter": letter}
    # A title may hold line breaks, and a subject is one line: nobody writes headers through an alert.
    subject = one_line(render_to_string(f"notifications/{letter}_subject.txt", context))
    html = render_to_string(f"notifications/{letter}.html", context) if channel == Channel.EMAIL else ""
    return Message(
        notification_id=notification.pk,
        user=notification.user,
        address=notification.address,
        subject=subject[:LONGEST_SUBJECT],
        text=TEXTS[channel](context),
        html=html,
        href=context["href"],
        severity=severity,
        facts=tuple(facts),
        answers=context["answers"],
        keys=method.keys if method else {},
        actions=tuple(actions),
        is_page=context["kind"] in ("page", "bundle"),
        is_bundle=context["kind"] == "bundle",
    )


def _long(context: dict[str, Any]) -> str:
    return render_to_string(f"notifications/{context['letter']}.txt", context).strip() + "\n"


def _sms(context: dict[str, Any]) -> str:
    """In one segment, the title cut as short as that takes; in more only where little of it would be left."""

    def text(title: str, service: str) -> str:
        given = {**context, "title": title, "service": service}
        return sms_text.plain(render_to_string("notifications/texts/sms.txt", given))

    title = sms_text.plain(context["title"])
    service = sms_text.cut(sms_text.plain(context["service"]), LONGEST_SMS_SERVICE)
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
    Channel.IN_APP: _long,
    Channel.EMAIL: _long,
    Channel.SMS: _sms,
    Channel.VOICE: _voice,
    Channel.WEB_PUSH: _push,
    Channel.MOBILE_PUSH: _push,
    Channel.SLACK: _chat,
    Channel.TEAMS: _chat,
    Channel.APPRISE: _chat,
}
