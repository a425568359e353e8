"""What the alerts app adds to the list of incidents."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString

from incidents import parts
from incidents.models import Incident

from .counts import counts_of
from .models import Alert

NEWEST_SEARCHED = 25_000


def connect() -> None:
    parts.searches.append(incidents_with_alerts_titled)
    parts.notes.append(alerts_of)


def incidents_with_alerts_titled(text: str) -> QuerySet[Any]:
    """Incidents of the newest alerts with the text in their titles.

    An index over all titles would cost intake a fifth of its rate, for a question that is mostly about today.
    """
    by_age = Alert.objects.order_by("-pk").values_list("pk", flat=True)
    # The id of the first that is too old, looked up by itself: within the other query PostgreSQL would not know how few
    # are newer, and start workers for a third of the table.
    too_old = by_age[NEWEST_SEARCHED : NEWEST_SEARCHED + 1].first()
    newest = Alert.objects.filter(pk__gt=too_old) if too_old else Alert.objects.all()
    return newest.filter(title__icontains=text).order_by().values(found=F("incident"))


def alerts_of(incidents: Sequence[Incident]) -> dict[UUID, SafeString]:
    """How many alerts each incident has, and how many of them fire."""
    counted = counts_of(incident.pk for incident in incidents)
    return {pk: format_html("{}", counts.words) for pk, counts in counted.items() if counts.total}
