"""Maintenance windows are written and asked for here. What has been is not rewritten: one that has begun ends now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Func, Q, QuerySet, Value
from django.utils import timezone

from openalert import sql
from teams.models import Service, Team, User

from . import maintenance_labels, signals
from .enums import MaintenanceMode
from .exceptions import NotTheTeamsServices, WindowEndsBeforeStart, WindowInThePast, WindowIsOver
from .models import MaintenanceSeries, MaintenanceWindow

SHARED = """
SELECT id FROM alerts_maintenancewindow WHERE team_id = ANY(%s::uuid[]) AND ends_at > %s ORDER BY id FOR SHARE
"""


def windows_to_heed(
    team_ids: Iterable[UUID], *, at: datetime, is_locking: bool = False
) -> list[MaintenanceWindow]:
    """The teams' windows that are not over at the instant, with their services, the earliest first.

    With `is_locking` none of them changes until the transaction ends; any number of transactions may do so at once.
    """
    teams = set(team_ids)
    if is_locking:
        sql.fetch(SHARED, [sql.as_array(map(str, teams)), at])
    windows = MaintenanceWindow.objects.filter(team__in=teams, ends_at__gt=at)
    return list(windows.prefetch_related("services").order_by("starts_at", "pk"))


@transaction.atomic
def add_window(
    *,
    team: Team,
    title: str,
    starts_at: datetime,
    ends_at: datetime,
    services: Sequence[Service] = (),
    mode: MaintenanceMode | str = MaintenanceMode.SUPPRESS,
    conditions: Sequence[Mapping[str, str]] = (),
    by: User | None,
) -> MaintenanceWindow:
    """Between two instants (aware), page nobody for the services; without any, for all of the team's.

    With `conditions` (see maintenance_labels) only for alerts that meet them; by `mode`, page with low urgency.
    Raises WindowEndsBeforeStart, WindowInThePast, NotTheTeamsServices, InvalidRule.
    """
    maintenance_labels.read(list(conditions))
    _check(team, starts_at, ends_at, services)
    if ends_at <= timezone.now():
        raise WindowInThePast(field="ends_at")
    window = MaintenanceWindow.objects.create(
        team=team,
        title=title,
        starts_at=starts_at,
        ends_at=ends_at,
        mode=mode,
        conditions=list(conditions),
        created_by=by,
    )
    window.services.set(services)
    _tell(window)
    return window


@transaction.atomic
def change_window(
    window_id: UUID,
    *,
    title: str | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    services: Sequence[Service] | None = None,
    mode: MaintenanceMode | str | None = None,
    conditions: Sequence[Mapping[str, str]] | None = None,
) -> MaintenanceWindow:
    """Change what is given. Ending it earlier lets paging go on then; an end that has passed is now.

    Raises MaintenanceWindow.DoesNotExist, WindowIsOver, WindowEndsBeforeStart, NotTheTeamsServices, InvalidRule.
    """
    window = _lock(window_id)
    now = timezone.now()
    if window.ends_at <= now:
        raise WindowIsOver
    window.title = window.title if title is None else title
    window.starts_at = starts_at or window.starts_at
    window.ends_at = max(ends_at, now) if ends_at else window.ends_at
    window.is_start_told = window.is_start_told and window.starts_at <= now
    window.is_end_told = window.is_end_told and window.ends_at <= now
    window.mode = mode or window.mode
    if conditions is not None:
        maintenance_labels.read(list(conditions))
        window.conditions = list(conditions)
    _check(window.team, window.starts_at, window.ends_at, services or ())
    window.save()
    if services is not None:
        window.services.set(services)
    _tell(window)
    return window


@transaction.atomic
def cancel_window(window_id: UUID) -> None:
    """One that has begun ends now, one that has not is removed, and a series leaves it out.

    Raises WindowIsOver, and MaintenanceWindow.DoesNotExist.
    """
    window = _lock(window_id)
    now = timezone.now()
    if window.ends_at <= now:
        raise WindowIsOver
    if window.starts_at < now:
        window.ends_at = now
        window.save(update_fields=["ends_at", "updated_at"])
    else:
        if window.series_id:
            skipped = Func(F("skipped"), Value(window.occurs_at), function="array_append")
            MaintenanceSeries.objects.filter(pk=window.series_id).update(skipped=skipped)
        MaintenanceWindow.objects.filter(pk=window.pk).delete()
    _tell(window)


def running(user: User, *, service: Service | None = None) -> QuerySet[MaintenanceWindow]:
    """The windows of now that the person may see, with team and services; those of a service, if one is named."""
    now = timezone.now()
    found = MaintenanceWindow.objects.visible_to(user).filter(starts_at__lte=now, ends_at__gt=now)
    if service:
        found = found.filter(Q(services=service) | Q(services=None), team=service.team_id)
    return found.select_related("team").prefetch_related("services").order_by("ends_at")


def _lock(window_id: UUID) -> MaintenanceWindow:
    return (
        MaintenanceWindow.objects.select_for_update(of=("self",), no_key=True)
        .select_related("team")
        .get(pk=window_id)
    )


def _check(team: Team, starts_at: datetime, ends_at: datetime, services: Sequence[Service]) -> None:
    if ends_at <= starts_at:
        raise WindowEndsBeforeStart(field="ends_at")
    if any(service.team_id != team.pk for service in services):
        raise NotTheTeamsServices(field="services")


def _tell(window: MaintenanceWindow) -> None:
    signals.maintenance_windows_changed.send(sender=MaintenanceWindow, windows=[window])
