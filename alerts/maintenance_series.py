"""Maintenance that comes again: its windows are made ahead, so nothing that pages has to know of series.

A window that was made is one of its own: it can be moved or cancelled alone. Beat makes new ones every hour; had it
not come for a month, windows would still be there.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from teams.models import Service, Team, User

from . import maintenance_labels, signals
from .enums import MaintenanceMode, Repeats
from .exceptions import LongerThanItsInterval, NeverComes, NotTheTeamsServices, WindowEndsBeforeStart
from .models import MaintenanceSeries, MaintenanceWindow
from .recurrence import LEAST_INTERVAL, occurrences

AHEAD = timedelta(days=35)


@transaction.atomic
def add_series(
    *,
    team: Team,
    title: str,
    repeats: Repeats,
    time_zone: str,
    starts_at: datetime,
    ends_at: datetime,
    until: date | None = None,
    services: Sequence[Service] = (),
    mode: MaintenanceMode | str = MaintenanceMode.SUPPRESS,
    conditions: Sequence[Mapping[str, str]] = (),
    by: User | None,
) -> MaintenanceSeries:
    """`starts_at` and `ends_at` (aware) are those of the first time.

    Raises WindowEndsBeforeStart, LongerThanItsInterval, NeverComes, NotTheTeamsServices, InvalidRule.
    """
    series = MaintenanceSeries(team=team, created_by=by, mode=mode, conditions=list(conditions))
    return _write(series, title, repeats, time_zone, starts_at, ends_at, until, services)


@transaction.atomic
def change_series(
    series_id: UUID,
    *,
    title: str,
    repeats: Repeats,
    time_zone: str,
    starts_at: datetime,
    ends_at: datetime,
    until: date | None,
    services: Sequence[Service],
    mode: MaintenanceMode | str | None = None,
    conditions: Sequence[Mapping[str, str]] | None = None,
) -> MaintenanceSeries:
    """Everything from now on; the windows that have begun stay as they are, those to come are made anew.

    Raises MaintenanceSeries.DoesNotExist, and what `add_series` does.
    """
    series = _lock(series_id)
    _take_back(series)
    series.mode = mode or series.mode
    series.conditions = series.conditions if conditions is None else list(conditions)
    return _write(series, title, repeats, time_zone, starts_at, ends_at, until, services)


@transaction.atomic
def end_series(series_id: UUID) -> None:
    """It does not come again. A window that has begun goes on. Raises MaintenanceSeries.DoesNotExist."""
    series = _lock(series_id)
    _take_back(series)
    series.delete()


def plan(now: datetime | None = None) -> int:
    """Make what is missing of all series' windows. Any number at once; each window is made once. Returns how many."""
    return sum(_plan(series_id, now or timezone.now()) for series_id in _ids())


def _ids() -> list[UUID]:
    return list(MaintenanceSeries.objects.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def _plan(series_id: UUID, now: datetime) -> int:
    found = MaintenanceSeries.objects.select_for_update(no_key=True).filter(pk=series_id).first()
    return _make_windows(found, now) if found else 0


def _write(
    series: MaintenanceSeries,
    title: str,
    repeats: Repeats,
    time_zone: str,
    starts_at: datetime,
    ends_at: datetime,
    until: date | None,
    services: Sequence[Service],
) -> MaintenanceSeries:
    if ends_at <= starts_at:
        raise WindowEndsBeforeStart(field="ends_at")
    if ends_at - starts_at > LEAST_INTERVAL[Repeats(repeats)]:
        raise LongerThanItsInterval(field="ends_at")
    if any(service.team_id != series.team_id for service in services):
        raise NotTheTeamsServices(field="services")
    maintenance_labels.read(series.conditions)
    if until and until < starts_at.astimezone(ZoneInfo(time_zone)).date():
        raise NeverComes(field="until")
    series.title, series.repeats, series.time_zone = title, repeats, time_zone
    series.starts_at, series.duration, series.until = starts_at, ends_at - starts_at, until
    series.save()
    series.services.set(services)
    _make_windows(series, timezone.now())
    return series


def _make_windows(series: MaintenanceSeries, now: datetime) -> int:
    """Those that are not over, until AHEAD; none twice, and none that was cancelled."""
    known = set(
        MaintenanceWindow.objects.filter(
            series=series, occurs_at__gt=now - series.duration, occurs_at__lt=now + AHEAD
        ).values_list("occurs_at", flat=True)
    )
    due = [
        at
        for at in occurrences(
            Repeats(series.repeats),
            series.starts_at,
            ZoneInfo(series.time_zone),
            until=series.until,
            after=now - series.duration,
            before=now + AHEAD,
        )
        if at not in known and at not in series.skipped and at + series.duration > now
    ]
    if not due:
        return 0
    windows = MaintenanceWindow.objects.bulk_create(
        MaintenanceWindow(
            team_id=series.team_id,
            title=series.title,
            starts_at=at,
            ends_at=at + series.duration,
            mode=series.mode,
            conditions=series.conditions,
            series=series,
            occurs_at=at,
            created_by_id=series.created_by_id,
        )
        for at in due
    )
    services = list(series.services.all())
    named = MaintenanceWindow.services.through
    named.objects.bulk_create(
        named(maintenancewindow_id=window.pk, service_id=service.pk)
        for window in windows
        for service in services
    )
    _tell(windows)
    return len(windows)


def _take_back(series: MaintenanceSeries) -> None:
    """The windows that have not begun."""
    windows = list(
        MaintenanceWindow.objects.select_for_update().filter(series=series, starts_at__gt=timezone.now())
    )
    if windows:
        MaintenanceWindow.objects.filter(pk__in=[window.pk for window in windows]).delete()
        _tell(windows)


def _lock(series_id: UUID) -> MaintenanceSeries:
    return MaintenanceSeries.objects.select_for_update().select_related("team").get(pk=series_id)


def _tell(windows: list[MaintenanceWindow]) -> None:
    signals.maintenance_windows_changed.send(sender=MaintenanceWindow, windows=windows)
