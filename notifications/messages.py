"""What a notification says, rendered at the moment of sending from templates/notifications/."""

from functools import cache

from django.conf import settings
from django.template.loader import get_template, render_to_string
from django.urls import reverse

from .enums import Channel, Purpose
from .models import Notification
from .transports import Message


@cache
def load() -> None:
    """Load what messages are made of, templates and addresses: seconds, in a sender that has just started."""
    reverse("me")
    for name in ("page_subject.txt", "page.txt", "page.html", "bundle.txt", "notice.txt"):
        get_template(f"notifications/{name}")


def render(notification: Notification) -> Message:
    """The message for a notification with its user, incident and service loaded."""
    incident = notification.incident
    path = incident.get_absolute_url() if incident else reverse("me")
    context = {
        "notification": notification,
        "incident": incident,
        "user": notification.user,
        "href": settings.SITE_URL.rstrip("/") + path,
        "is_test": notification.purpose == Purpose.TEST,
        "is_notice": notification.purpose == Purpose.NOTICE,
    }
    # A title may hold line breaks, and a subject is one line: nobody writes headers through an alert.
    subject = " ".join(render_to_string("notifications/page_subject.txt", context).split())
    return Message(
        notification_id=notification.pk,
        user=notification.user,
        address=notification.address,
        subject=subject[:200],
        text=render_to_string("notifications/page.txt", context).strip() + "\n",
        # Nothing shows it in the app, where pages come by the thousand.
        html=""
        if notification.channel == Channel.IN_APP
        else render_to_string("notifications/page.html", context),
        href=context["href"],
        severity=incident.severity if incident else "low",
    )
