"""Cron's five fields, on the clock of a time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.core.exceptions import ValidationError


def validate_cron(expression: str) -> None:
    """Raises ValidationError for what cron would not take, and for what never comes."""
    try:
        next_after(expression, "UTC", datetime(2024, 1, 1, tzinfo=UTC))
    except (CronSimError, StopIteration):
        raise ValidationError("Write it as cron does, like “30 2 * * *”.", code="invalid_cron") from None


def next_after(expression: str, time_zone: str, instant: datetime) -> datetime:
    """The first time (UTC) after an instant. When clocks change, as Debian's cron: nothing is left out or run twice.

    Raises CronSimError, StopIteration.
    """
    return next(CronSim(expression, instant.astimezone(ZoneInfo(time_zone)))).astimezone(UTC)
