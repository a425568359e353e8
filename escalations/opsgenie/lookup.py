"""Which alert a request means."""

from uuid import UUID

from django.db.models import QuerySet

from alerts.enums import AlertStatus
from alerts.formats import opsgenie
from alerts.models import Alert
from teams.models import Team

from .calls import Call

KINDS = ("id", "alias", "tiny")
# No index finds a closed alert by its alias; so many of the integration's newest alerts are looked through.
MOST_LOOKED_THROUGH = 10_000


def alerts_of(team: Team) -> QuerySet[Alert]:
    """The team's alerts, with all that is told of one."""
    return Alert.objects.filter(integration__service__team=team).select_related(
        "additions",
        "integration__service__team",
        "incident__service__team",
        "incident__assigned_to",
        "incident__acknowledged_by",
        "incident__resolved_by",
    )


def kind_of(call: Call) -> str:
    """Raises Unprocessable."""
    return call.choice("identifierType", *KINDS)


def find(call: Call, identifier: str) -> Alert | None:
    """The alert that the identifier names, in the sense of the request's identifierType.

    An alias names the open alert, else the newest closed one. Raises Unprocessable.
    """
    alerts = alerts_of(call.team)
    match kind_of(call):
        case "id":
            pk = uuid_of(identifier)
            return alerts.filter(pk=pk).first() if pk else None
        case "tiny":
            if not identifier.isascii() or not identifier.isdecimal() or len(identifier) > 18:
                return None
            found = alerts.filter(incident__number=int(identifier))
            return (
                found.filter(status=AlertStatus.FIRING).order_by("pk").first() or found.order_by("pk").first()
            )
        case _:
            return _by_alias(call, alerts, opsgenie.dedup_key(identifier))


def _by_alias(call: Call, alerts: QuerySet[Alert], key: str) -> Alert | None:
    ours = call.integration.pk
    # Other integrations of the team may use the same alias: the one that asks comes first.
    current = sorted(
        alerts.filter(dedup_key=key, is_current=True),
        key=lambda alert: (alert.integration_id != ours, alert.status != AlertStatus.FIRING, alert.pk),
    )
    if current:
        return current[0]
    newest = Alert.objects.newest_of(call.integration).values("pk")[:MOST_LOOKED_THROUGH]
    return alerts.filter(pk__in=newest, dedup_key=key).order_by("-pk").first()


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
