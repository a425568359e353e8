"""A month of maintenance, on the clock of whoever looks: weeks on a wide screen, a list on a phone."""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_GET

from teams.models import User

from .models import MaintenanceWindow

MOST_SHOWN = 500
FIRST, LAST = date(2000, 1, 1), date(2099, 12, 1)
WEEKS = calendar.Calendar(calendar.MONDAY)


class Part(NamedTuple):
    """What falls of a window into a day; `begins` and `ends` when it does so on that day."""

    window: MaintenanceWindow
    begins: bool
    ends: bool


class Day(NamedTuple):
    day: date
    is_of_month: bool
    parts: list[Part]


@login_required
@require_GET
def month_page(request: HttpRequest) -> HttpResponse:
    """`month` is like 2026-12; without one that can be read it is the present month."""
    today = timezone.localdate()
    month = _asked(request.GET.get("month", "")) or today.replace(day=1)
    weeks = weeks_of(month, user=request.user)
    return render(
        request,
        "alerts/maintenance_calendar.html",
        {
            "month": month,
            "weeks": weeks,
            "today": today,
            "is_empty": not any(day.parts for week in weeks for day in week if day.is_of_month),
            "before": month - timedelta(days=1) if month > FIRST else None,
            "after": month + timedelta(days=31) if month < LAST else None,
        },
    )


def weeks_of(month: date, *, user: User) -> list[list[Day]]:
    """Whole weeks, Monday first, around the month that begins on the day `month`. Two queries."""
    dates = WEEKS.monthdatescalendar(month.year, month.month)
    zone = user.tzinfo
    begins, ends = _midnight(dates[0][0], zone), _midnight(dates[-1][-1] + timedelta(days=1), zone)
    windows = (
        MaintenanceWindow.objects.visible_to(user)
        .filter(starts_at__lt=ends, ends_at__gt=begins)
        .select_related("team")
        .prefetch_related("services")
        .order_by("starts_at", "pk")[:MOST_SHOWN]
    )
    parts: dict[date, list[Part]] = {}
    for window in windows:
        first = max(window.starts_at, begins).astimezone(zone).date()
        last = (min(window.ends_at, ends) - timedelta(microseconds=1)).astimezone(zone).date()
        for days in range((last - first).days + 1):
            day = first + timedelta(days=days)
            part = Part(
                window,
                window.starts_at >= _midnight(day, zone),
                window.ends_at <= _midnight(day + timedelta(days=1), zone),
            )
            parts.setdefault(day, []).append(part)
    return [[Day(day, day.month == month.month, parts.get(day, [])) for day in week] for week in dates]


def _asked(text: str) -> date | None:
    try:
        month = date.fromisoformat(f"{text}-01").replace(day=1)
    except ValueError:
        return None
    return month if FIRST <= month <= LAST else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


urlpatterns = [path("maintenance/calendar/", month_page, name="maintenance-calendar")]
