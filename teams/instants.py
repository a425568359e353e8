"""Instants in addresses."""

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime


def asked_instant(request: HttpRequest, name: str) -> datetime | None:
    """The instant that the address names; None for none, and for what is none."""
    try:
        instant = parse_datetime(request.GET.get(name, ""))
    except ValueError:
        return None
    return instant if instant and timezone.is_aware(instant) else None
