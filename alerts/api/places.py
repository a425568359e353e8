"""JSON that a function of the heart understands, its faults told at their place."""

from collections.abc import Callable, Sequence
from typing import Any

from rest_framework import serializers

from alerts.exceptions import InvalidExpression, InvalidRule


class ReadField(serializers.JSONField):
    """JSON that `read` understands; a fault is shown at its place, like `conditions.0.value`."""

    read: Callable[[Any], Any]

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        try:
            self.read(value)
        except (InvalidRule, InvalidExpression) as fault:
            told: Any = [fault.detail]
            for step in reversed(self.place(fault.field or "")):
                told = {step: told}
            raise serializers.ValidationError(told, fault.code) from fault
        return value

    def place(self, field: str) -> Sequence[str]:
        """The way from here to the fault's field."""
        return field.split(".") if field else ()


class PartOfRule(ReadField):
    def place(self, field: str) -> Sequence[str]:
        return field.split(".")[1:]  # the first is this one
