"""Storms: once a person has been sent many pages by one method in a minute, what comes on top goes together.

A page that is held back for its bundle is a waiting row like any other, so a worker's death loses nothing; whoever
takes the lease on the first of them takes all that are due. Critical pages have a minute's allowance of their own
and wait less, so that no flood of others delays them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urljoin

from django.conf import settings
from django.db.models import Min, Q, QuerySet
from django.urls import reverse

from incidents.enums import SEVERITIES, Severity
from incidents.models import Incident

from . import texts
from .enums import UNFINISHED, Action, Hold, NotificationStatus, Purpose
from .models import DeliveryAttempt, Notification
from .plain import one_line
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
    incidents = incidents_of(pages)
    worst = incidents[0]
    context = {
        "kind": "bundle",
        "user": head.user,
        "incidents": incidents[:MOST_NAMED],
        "others": max(0, len(incidents) - MOST_NAMED),
        "summary": summary(incident.service_id for incident in incidents),
        "worst": worst,
        "title": one_line(worst.title),
        "service": one_line(worst.service.name),
        "counts": [
            (severity.label.lower(), count)
            for severity in SEVERITIES
            if (count := sum(incident.severity == severity for incident in incidents))
        ],
        "href": urljoin(settings.SITE_URL, reverse("incidents")),
    }
    return texts.compose(
        head, context, letter="bundle", severity=worst.severity, actions=(Action.ACKNOWLEDGE,)
    )


def incidents_of(pages: Iterable[Notification]) -> list[Incident]:
    """The incidents that the pages are about, each once, the worst and then the oldest first."""
    incidents = list({page.incident_id: page.incident for page in pages if page.incident}.values())
    return sorted(incidents, key=lambda incident: (Severity(incident.severity).rank, incident.number))


def sent_with(page: Notification) -> list[Notification]:
    """The page and what travels, or travelled, in the same message, loaded to be rendered; the page comes first."""
    if page.bundle_size == 1 or page.request_id is None:
        return [page]
    others = Notification.objects.filter(request_id=page.request_id).exclude(pk=page.pk)
    return [page, *others.select_related("user", "contact_method", "incident__service").order_by("pk")]


def is_of_several(pages: Iterable[Notification]) -> bool:
    """Whether the pages are about more than one incident; repeated pages about one need no summary."""
    return len({page.incident_id for page in pages}) > 1


def summary(services: Iterable[object]) -> str:
    """“23 incidents on 4 services”, from each incident's service."""
    services = list(services)
    count = len(set(services))
    return f"{len(services)} incidents on {count} service{'' if count == 1 else 's'}"
