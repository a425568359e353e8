"""Ordering and search of lists: DRF's, but strict and documented."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import filters, serializers
from rest_framework.request import Request
from rest_framework.views import APIView


class OrderingFilter(filters.OrderingFilter):
    """`?ordering=-opened_at,title`: fields of the view's `ordering_fields`; others are refused, not ignored."""

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: list[str], view: APIView, request: Request
    ) -> list[str]:
        allowed = {name for name, _ in self.get_valid_fields(queryset, view, {"request": request})}
        wrong = [field for field in fields if field.removeprefix("-") not in allowed]
        if wrong:
            raise serializers.ValidationError(
                {"ordering": f"“{wrong[0]}” is not one of {', '.join(sorted(allowed))}."}, "invalid_choice"
            )
        return fields

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        fields = [name for field in view.ordering_fields for name in (field, f"-{field}")]
        return [
            {
                "name": "ordering",
                "in": "query",
                "required": False,
                "description": f"By which fields, most important first. Default: `{','.join(view.ordering)}`.",
                "schema": {"type": "array", "items": {"type": "string", "enum": fields}},
                "explode": False,
                "style": "form",
            }
        ]


class SearchFilter(filters.SearchFilter):
    """`?search=words`: only where the view has `search_fields`."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return super().get_schema_operation_parameters(view) if getattr(view, "search_fields", None) else []
