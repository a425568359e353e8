"""How views become the OpenAPI document."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

CRUD = {"list", "create", "retrieve", "update", "partial_update", "destroy"}
BODY_METHODS = {"POST", "PUT", "PATCH"}


class ErrorItemSerializer(serializers.Serializer):
    code = serializers.CharField(help_text="For programs: does not change.")
    detail = serializers.CharField(help_text="For people.")
    field = serializers.CharField(
        allow_null=True, help_text="The input at fault, like `title` or `steps.0.targets`."
    )


class ErrorSerializer(serializers.Serializer):
    """Every error, wherever it comes from."""

    type = serializers.ChoiceField(["validation_error", "client_error", "server_error"])
    errors = ErrorItemSerializer(many=True)
    correlation_id = serializers.CharField(
        help_text="Name it when you ask for help. Also in X-Correlation-ID."
    )


class AutoSchema(SpectacularAutoSchema):
    """Adds the errors that an operation can answer with, and short operation ids for actions."""

    def get_operation_id(self) -> str:
        name = super().get_operation_id()
        is_action = getattr(self.view, "action", None) not in CRUD
        return name.removesuffix("_create") if is_action and self.method == "POST" else name

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        responses = super()._get_response_bodies(direction)
        for status, description in self._errors().items():
            answer = OpenApiResponse(ErrorSerializer, description)
            responses.setdefault(status, self._get_response_for_code(answer, status))
        return responses

    def _errors(self) -> dict[str, str]:
        is_write = self.method in BODY_METHODS | {"DELETE"}
        needs_sign_in = {} not in self.get_auth() and bool(self.get_auth())
        errors = {}
        if self.method in BODY_METHODS or self._is_list_view():
            errors["400"] = "The input is wrong."
        if needs_sign_in:
            errors["401"] = "Nobody is signed in, or the token has expired."
        if needs_sign_in and is_write:
            errors["403"] = "You may see this but not change it."
        if any(parameter["in"] == "path" for parameter in self._get_parameters()):
            errors["404"] = "There is no such thing, or it is not yours to see."
        if needs_sign_in and is_write:
            errors["409"] = "It does not go together with what is there."
        errors["429"] = "Too many requests: wait for `Retry-After` seconds."
        errors["default"] = "Any other failure."
        return errors


class LocalTimeExtension(OpenApiSerializerFieldExtension):
    """A time of day without an offset, which `format: time` (RFC 3339) would demand."""

    target_class = "rest_framework.fields.TimeField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$",
            "example": "09:30",
        }
