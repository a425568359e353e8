import json
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.enums import EventStatus, Source
from alerts.events import find_nul
from alerts.exceptions import NotForThisSource
from alerts.fields import read_fields
from alerts.formats.generic import fields_of
from alerts.preview import MOST_SHOWN, preview
from incidents.enums import Severity

from .rule_views import UnderIntegration
from .serializers import PickedFieldsField


@extend_schema_field({})
class AnyJSONField(serializers.JSONField):
    """Whatever JSON the intake takes, null too."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # allow_null would make the document say “anything, or else null”.
        return (True, None) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if find_nul(value):
            raise serializers.ValidationError("U+0000 cannot be stored.", "invalid")
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise serializers.ValidationError(
                "Half a pair of surrogates is no character.", "invalid"
            ) from None
        return value


class FieldsToTrySerializer(serializers.Serializer):
    payload = AnyJSONField(help_text="What the other system sends, any JSON.")
    fields = PickedFieldsField(
        required=False, help_text="Expressions to try. Left out: the integration's own."
    )


class PickedAlertSerializer(serializers.Serializer):
    dedup_key = serializers.CharField(source="event.dedup_key")
    status = serializers.ChoiceField(list(EventStatus), source="event.status")
    title = serializers.CharField(source="event.title")
    severity = serializers.ChoiceField(Severity.choices, source="event.severity")
    name = serializers.CharField(source="event.name", help_text="For grouping by alert name.")
    source = serializers.CharField(source="event.source", allow_blank=True)
    labels = serializers.DictField(child=serializers.CharField(allow_blank=True), source="event.labels")
    description = serializers.CharField(allow_blank=True)
    link = serializers.CharField(allow_blank=True)
    errors = serializers.DictField(
        child=serializers.CharField(),
        help_text="By field: why its expression picks nothing. It is found by its usual names then.",
    )


class FieldsTriedSerializer(serializers.Serializer):
    total = serializers.IntegerField(help_text=f"How many alerts; the first {MOST_SHOWN} are listed.")
    alerts = PickedAlertSerializer(many=True)
    fault = serializers.CharField(allow_blank=True, help_text="Why the payload is refused as a whole.")


class FieldsDryRunView(UnderIntegration, APIView):
    """What would come of a payload, before the integration's rules. Nothing is stored, and nobody is told."""

    @extend_schema(request=FieldsToTrySerializer, responses=FieldsTriedSerializer)
    def post(self, request: Request, integration_id: UUID) -> Response:
        """Try the fields of an integration for any JSON on a payload."""
        if self.integration.source != Source.GENERIC:
            raise NotForThisSource
        serializer = FieldsToTrySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data.get("fields")
        fields = fields_of(self.integration) if given is None else read_fields(given)
        tried = preview(self.integration, fields, serializer.validated_data["payload"])
        return Response(FieldsTriedSerializer(tried).data)
