"""Storms: once a person has been sent many pages by one method in a minute, what comes on top goes together.

A page that is held back for its bundle is a waiting row like any other, so a worker's death loses nothing; whoever
takes the lease on the first of them takes all that are due. Critical pages have a minute's allowance of their own
and wait less, so that no flood of others delays them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urljoin
from uuid import UUID

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

# Critical pages by a method are reckoned with apart from its others.
Kind = tuple[UUID | None, bool]


class Storms:
    """Which pages of a batch have to wait for a bundle, in at most two queries.

    To be used with the rows of their contact methods locked: two pages at once must not both be the last that goes
    alone.
    """

    def __init__(self, pages: Iterable[Notification], *, now: datetime) -> None:
        self._now = now
        self._most = settings.BUNDLE_ABOVE_PER_MINUTE
        self._methods = {page.contact_method_id for page in pages if self._may_wait(page)}
        self._sent: Counter[Kind] = Counter()  # messages of the last minute
        self._next: dict[Kind, datetime] | None = None
        if self._methods:
            messages = (
                DeliveryAttempt.objects.filter(
                    method_id__in=self._methods,
                    started_at__gt=now - WINDOW,
                    notification__purpose=Purpose.PAGE,
                )
                .order_by()
                .values_list("method_id", "request_id")
                .annotate(worst=Min("notification__priority"))
            )
            self._sent.update((method, worst == CRITICAL) for method, _, worst in messages)

    def waits_until(self, page: Notification) -> datetime | None:
        """When the bundle goes that the page has to wait for; None when it goes out now, alone or as a bundle's first."""
        if not self._may_wait(page) or self._sent[_kind(page)] < self._most:
            return None
        if self._next is None:
            self._next = self._held()
        wait = CRITICAL_WAIT if page.priority == CRITICAL else WAIT
        return self._next.setdefault(_kind(page), self._now + wait)

    def count(self, pages: Sequence[Notification]) -> None:
        """These go out now, in one message."""
        self._sent[pages[0].contact_method_id, any(page.priority == CRITICAL for page in pages)] += 1

    def _may_wait(self, page: Notification) -> bool:
        if not self._most or page.purpose != Purpose.PAGE or page.contact_method_id is None:
            return False
        # Otherwise its time has come, or it has been on its way before.
        return page.hold != Hold.BUNDLE and not page.attempt_count

    def _held(self) -> dict[Kind, datetime]:
        """When the bundles go that wait already."""
        held = Notification.objects.filter(
            contact_method__in=self._methods,
            status=NotificationStatus.PENDING,
            hold=Hold.BUNDLE,
            due_at__gt=self._now,
        )
        rows = held.order_by().values_list("contact_method", "priority").annotate(first=Min("due_at"))
        found: dict[Kind, datetime] = {}
        for method, priority, first in rows:
            kind = method, priority == CRITICAL
            found[kind] = min(first, found.get(kind, first))
        return found


def _kind(page: Notification) -> Kind:
    return page.contact_method_id, page.priority == CRITICAL


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
    others = Notification.objects.filter(
        attempts__request_id=page.request_id, request_id=page.request_id
    ).exclude(pk=page.pk)
    return [page, *others.select_related("user", "contact_method", "incident__service").order_by("pk")]


def is_of_several(pages: Iterable[Notification]) -> bool:
    """Whether the pages are about more than one incident; repeated pages about one need no summary."""
    return len({page.incident_id for page in pages}) > 1


def summary(services: Iterable[object]) -> str:
    """“23 incidents on 4 services”, from each incident's service."""
    services = list(services)
    count = len(set(services))
    return f"{len(services)} incidents on {count} service{'' if count == 1 else 's'}"
