"""Serializer fields that every app may need."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class InstantField(serializers.DateTimeField):
    """An instant of this century: one in the year 9999 would overflow whoever adds a week to it."""

    default_error_messages = {"out_of_range": "Choose a time between the years 2000 and 2100."}

    def to_internal_value(self, value: Any) -> datetime:
        instant = super().to_internal_value(value)
        if not EARLIEST <= instant < LATEST:
            self.fail("out_of_range")
        return instant
