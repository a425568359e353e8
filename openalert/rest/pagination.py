"""Cursor pages by key set: a page starts after the last row of the one before, however many rows were added."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Model, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .exceptions import InvalidCursor

DEFAULT_SIZE = 50
MAX_SIZE = 200


class CursorPagination(BasePagination):
    """`?page_size=` (1 to 200) and `?cursor=`, with `next` and `previous` as whole addresses.

    The list must be ordered by fields that are never null; the primary key breaks ties.
    """

    def paginate_queryset(
        self, queryset: QuerySet, request: Request, view: APIView | None = None
    ) -> list[Model]:
        self.request = request
        self.ordering = with_tie_breaker(queryset.query.order_by)
        size = page_size(request.query_params.get("page_size"))
        cursor = request.query_params.get("cursor")
        is_backward, values = self._decode(cursor) if cursor else (False, None)
        ordering = reverse(self.ordering) if is_backward else self.ordering
        try:
            if values is not None:
                queryset = queryset.filter(after(ordering, values))
            rows = list(queryset.order_by(*ordering)[: size + 1])
        except (ValidationError, ValueError, TypeError, DataError) as error:
            raise InvalidCursor from error
        has_more, rows = len(rows) > size, rows[:size]
        if is_backward:
            rows.reverse()
        has_next = bool(rows) and (has_more or is_backward)
        has_previous = bool(rows) and (has_more if is_backward else cursor is not None)
        self.next = self._link(rows[-1], is_backward=False) if has_next else None
        self.previous = self._link(rows[0], is_backward=True) if has_previous else None
        return rows

    def _link(self, row: Model, *, is_backward: bool) -> str:
        cursor = json.dumps(
            [",".join(self.ordering), is_backward, [value_of(row, name) for name in self.ordering]],
            default=str,  # instants with their microseconds, ids
        )
        parameters = self.request.query_params.copy()
        parameters["cursor"] = base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")
        address = self.request.build_absolute_uri(self.request.path)
        return f"{address}?{urlencode(list(parameters.lists()), doseq=True)}"

    def _decode(self, cursor: str) -> tuple[bool, list[Any]]:
        try:
            raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
            ordering, is_backward, values = json.loads(raw)
        except (binascii.Error, ValueError, TypeError) as error:
            raise InvalidCursor from error
        if ordering != ",".join(self.ordering) or not is_list_of_scalars(values, len(self.ordering)):
            raise InvalidCursor
        return is_backward is True, values

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        number = {"type": "integer", "minimum": 1, "maximum": MAX_SIZE}
        size = {"anyOf": [number, {"type": "string"}], "default": DEFAULT_SIZE}
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "Where the page starts; taken from `next` or `previous`.",
                "schema": {"type": "string"},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": "How many results at most: 1 to 200. What is beyond is cut; what is no number is not heeded.",
                "schema": size,
            },
        ]


def page_size(given: str | None) -> int:
    """What was asked for, within 1 and MAX_SIZE; anything else is DEFAULT_SIZE."""
    if not given or not given.isascii() or not given.isdigit():
        return DEFAULT_SIZE
    return max(1, min(int(given[:9]), MAX_SIZE))


def with_tie_breaker(ordering: tuple[str, ...]) -> tuple[str, ...]:
    """The ordering with the primary key at its end, in the direction of what stands before it."""
    if not ordering:
        return ("pk",)
    if ordering[-1] in ("id", "-id"):
        return ordering
    return (*ordering, "-pk" if ordering[-1].startswith("-") else "pk")


def reverse(ordering: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name[1:] if name.startswith("-") else f"-{name}" for name in ordering)


def value_of(row: Model, name: str) -> Any:
    value: Any = row
    for part in name.lstrip("-").split("__"):
        value = getattr(value, part)
    return value


def is_list_of_scalars(values: Any, length: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == length
        and all(isinstance(value, str | int | float) for value in values)
    )


def after(ordering: tuple[str, ...], values: list[Any]) -> Q:
    """The rows that come behind the one with these values: (a, b) > (1, 2) is a > 1 or a = 1 and b > 2."""
    condition, equal = Q(), Q()
    for name, value in zip(ordering, values, strict=True):
        field, operator = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        condition |= equal & Q(**{f"{field}__{operator}": value})
        equal &= Q(**{field: value})
    return condition
