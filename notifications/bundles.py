"""Storms: once a person has been sent many pages by one method in a minute, what comes on top goes together.

A page that is held back for its bundle is a waiting row like any other, so a worker's death loses nothing; whoever
takes the lease on the first of them takes all that are due. Critical pages have a minute's allowance of their own
and wait less, so that no flood of others delays them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min, Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse

from incidents.enums import SEVERITIES, Severity

from .enums import UNFINISHED, Hold, NotificationStatus, Purpose
from .models import DeliveryAttempt, Notification
from .transports import Message

WINDOW = timedelta(minutes=1)
WAIT = timedelta(seconds=20)
CRITICAL_WAIT = timedelta(seconds=5)
LARGEST = 500
MOST_NAMED = 10
CRITICAL = Severity.CRITICAL.rank


def waits_until(page: Notification, *, now: datetime) -> datetime | None:
    """When the bundle goes that the page has to wait for; None when it goes out now, alone or as a bundle's first.

    To be called with the row of its contact method locked: two pages at once must not both be the last that goes alone.
    """
    most = settings.BUNDLE_ABOVE_PER_MINUTE
    if not most or page.purpose != Purpose.PAGE or page.contact_method_id is None:
        return None
    if page.hold == Hold.BUNDLE or page.attempt_count:
        return None  # its time has come, or it has been on its way before
    is_critical = page.priority == CRITICAL
    messages = (
        DeliveryAttempt.objects.filter(
            method_id=page.contact_method_id,
            started_at__gt=now - WINDOW,
            notification__purpose=Purpose.PAGE,
        )
        .order_by()
        .values_list("request_id")
        .annotate(worst=Min("notification__priority"))
    )
    if sum((worst == CRITICAL) == is_critical for _, worst in messages) < most:
        return None
    same = Q(priority=CRITICAL) if is_critical else Q(priority__gt=CRITICAL)
    held = Notification.objects.filter(
        same,
        contact_method=page.contact_method_id,
        status=NotificationStatus.PENDING,
        hold=Hold.BUNDLE,
        due_at__gt=now,
    )
    first: datetime | None = held.aggregate(first=Min("due_at"))["first"]
    return first or now + (CRITICAL_WAIT if is_critical else WAIT)


def companions(page: Notification, *, now: datetime) -> QuerySet[Notification]:
    """What else is due to the same person by the same method and goes with a held page, the worst first."""
    if page.hold != Hold.BUNDLE:
        return Notification.objects.none()
    is_free = Q(status=NotificationStatus.PENDING) | Q(lease_until__lte=now)
    return Notification.objects.filter(
        is_free,
        contact_method=page.contact_method_id,
        purpose=Purpose.PAGE,
        status__in=UNFINISHED,
        due_at__lte=now,
    ).exclude(pk=page.pk)


def render(pages: Sequence[Notification]) -> Message:
    """“23 incidents on 4 services, worst: …”: one message for pages to one person, of several incidents."""
    head = pages[0]
    incidents = list({page.incident_id: page.incident for page in pages if page.incident}.values())
    incidents.sort(key=lambda incident: (Severity(incident.severity).rank, incident.number))
    href = settings.SITE_URL.rstrip("/") + reverse("incidents")
    context = {
        "user": head.user,
        "incidents": incidents[:MOST_NAMED],
        "others": max(0, len(incidents) - MOST_NAMED),
        "summary": summary(incident.service_id for incident in incidents),
        "worst": incidents[0],
        "counts": [
            (severity.label.lower(), count)
            for severity in SEVERITIES
            if (count := sum(incident.severity == severity for incident in incidents))
        ],
        "href": href,
    }
    subject = " ".join(render_to_string("notifications/bundle_subject.txt", context).split())
    return Message(
        notification_id=head.pk,
        user=head.user,
        address=head.address,
        subject=subject[:200],
        text=render_to_string("notifications/bundle.txt", context).strip() + "\n",
        html=render_to_string("notifications/bundle.html", context),
        href=href,
        severity=incidents[0].severity,
    )


def is_of_several(pages: Iterable[Notification]) -> bool:
    """Whether the pages are about more than one incident; repeated pages about one need no summary."""
    return len({page.incident_id for page in pages}) > 1


def summary(services: Iterable[object]) -> str:
    """“23 incidents on 4 services”, from each incident's service."""
    services = list(services)
    count = len(set(services))
    return f"{len(services)} incidents on {count} service{'' if count == 1 else 's'}"
