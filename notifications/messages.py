"""What a notification says, rendered for its channel at the moment of sending from templates/notifications/."""

from collections.abc import Sequence
from functools import cache
from urllib.parse import urljoin

from django.conf import settings
from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone

from incidents.enums import Severity

from . import bundles, notices, texts
from .codes import code_of
from .enums import Purpose
from .models import Notification
from .plain import one_line
from .transports import Message

LETTERS = ("page_subject.txt", "page.txt", "page.html", "bundle_subject.txt", "bundle.txt", "bundle.html")
SHORT = ("sms", "voice", "push", "chat")


@cache
def load() -> None:
    """Load what messages are made of, templates and addresses: seconds, in a sender that has just started."""
    reverse("me")
    for name in (*LETTERS, *(f"texts/{short}.txt" for short in SHORT)):
        get_template(f"notifications/{name}")


def render_together(notifications: Sequence[Notification]) -> Message:
    """The one message that these travel in, the one that was asked for first; loaded as for `render`."""
    if bundles.is_of_several(notifications):
        return bundles.render(notifications)
    return render(notifications[0])


def render(notification: Notification) -> Message:
    """The message for a notification with its user, contact method, incident and service loaded."""
    if notification.is_about_paging:
        return notices.render(notification)
    incident = notification.incident
    code = code_of(notification.pk) if notification.purpose == Purpose.VERIFICATION else ""
    context = {
        "kind": "unanswered" if notification.purpose == Purpose.NOTICE else notification.purpose,
        "incident": incident,
        "user": notification.user,
        "href": urljoin(settings.SITE_URL, incident.get_absolute_url() if incident else reverse("me")),
        "code": code,
        "code_spoken": ", ".join(code),
        "service": one_line(incident.service.name) if incident else "",
        "title": one_line(incident.title) if incident else "",
    }
    return texts.compose(
        notification,
        context,
        letter="page",
        severity=incident.severity if incident else Severity.LOW,
        actions=notification.actions,
        facts=_facts(notification),
    )


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
