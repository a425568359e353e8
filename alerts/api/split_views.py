"""Splitting and the undoing of a merge, through the API."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import splitting
from incidents.api.lookup import asker, incident_to_change, incidents_for
from incidents.api.serializers import IncidentSerializer


class SplitSerializer(serializers.Serializer):
    alerts = serializers.ListField(
        child=serializers.UUIDField(),
        min_length=1,
        max_length=splitting.MOST_AT_ONCE,
        help_text="Ids of its alerts.",
    )
    title = serializers.CharField(
        max_length=1024, required=False, default="", allow_blank=True, help_text="Empty: the first alert's."
    )


class SplitView(APIView):
    @extend_schema(request=SplitSerializer, responses={201: IncidentSerializer})
    def post(self, request: Request, incident_id: UUID) -> Response:
        """Split alerts off into a new incident, which is answered. It is escalated by its own rules, and what the alerts
        send from now on goes there."""
        incident = incident_to_change(request, incident_id)
        serializer = SplitSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        made = splitting.split(
            incident_id=incident.pk, alert_ids=given["alerts"], title=given["title"], actor=asker(request)
        )
        return Response(
            IncidentSerializer(incidents_for(request).get(pk=made.pk)).data, status.HTTP_201_CREATED
        )


class UnmergeView(APIView):
    @extend_schema(request=None, responses=IncidentSerializer)
    def post(self, request: Request, incident_id: UUID) -> Response:
        """Take it out of the incident that it was merged into: it is open again, with its alerts."""
        incident = incident_to_change(request, incident_id)
        splitting.undo_merge(incident_id=incident.pk, actor=asker(request))
        return Response(IncidentSerializer(incidents_for(request).get(pk=incident.pk)).data)
