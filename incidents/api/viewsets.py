from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from incidents import lifecycle, merging
from incidents.models import Incident, IncidentQuerySet, TimelineEntry
from teams.access import require_respond

from . import filters, serializers
from .lookup import asker, incident_to_change, incident_to_see, incidents_for


class IncidentViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """What responders acknowledge and resolve. Repeating an action changes nothing."""

    queryset = Incident.objects.all()
    serializer_class = serializers.IncidentSerializer
    filterset_class = filters.IncidentFilter
    search_fields = ["title"]
    ordering = ("-opened_at",)
    ordering_fields = ("opened_at", "last_alert_at", "updated_at", "number", "severity_rank", "status")

    def get_queryset(self) -> IncidentQuerySet:
        return incidents_for(self.request).with_severity_rank()

    @extend_schema(
        request=serializers.OpenIncidentSerializer, responses={201: serializers.IncidentSerializer}
    )
    def create(self, request: Request) -> Response:
        """Open an incident by hand; escalation starts."""
        values = self._read(serializers.OpenIncidentSerializer)
        require_respond(request.user, values["service"].team)
        incident = lifecycle.open_by_hand(actor=asker(request), **values)
        return self._answer(incident, status.HTTP_201_CREATED)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: UUID) -> Response:
        """Somebody works on it: escalation stops."""
        return self._act(pk, lifecycle.acknowledge)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def unacknowledge(self, request: Request, pk: UUID) -> Response:
        """Take the acknowledgement back: escalation starts over."""
        return self._act(pk, lifecycle.unacknowledge)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: UUID) -> Response:
        """The problem is over: escalation stops, its alerts are closed."""
        return self._act(pk, lifecycle.resolve)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: UUID) -> Response:
        """It was not over: escalation starts from the first step."""
        return self._act(pk, lifecycle.reopen)

    @extend_schema(request=serializers.SnoozeSerializer)
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: UUID) -> Response:
        """Be silent for a while, then open again and page from the start."""
        return self._act(pk, lifecycle.snooze, serializers.SnoozeSerializer)

    @extend_schema(request=serializers.SeveritySerializer)
    @action(detail=True, methods=["post"])
    def severity(self, request: Request, pk: UUID) -> Response:
        """Change the severity."""
        return self._act(pk, lifecycle.change_severity, serializers.SeveritySerializer)

    @extend_schema(request=serializers.MergeSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: UUID) -> Response:
        """It is part of another problem: it is resolved, and goes on there with its alerts. `unmerge` is the way back."""
        incident = incident_to_change(request, pk)
        target = self._read(serializers.MergeSerializer)["into"]
        merging.merge(source_ids=[incident.pk], target_id=target.pk, actor=asker(request))
        return self._answer(incident)

    @extend_schema(request=serializers.NoteSerializer, responses={201: serializers.TimelineEntrySerializer})
    @action(detail=True, methods=["post"])
    def notes(self, request: Request, pk: UUID) -> Response:
        """Write a note into the timeline."""
        incident = incident_to_change(request, pk)
        values = self._read(serializers.NoteSerializer)
        entry = lifecycle.add_note(incident_id=incident.pk, actor=asker(request), **values)
        return Response(serializers.TimelineEntrySerializer(entry).data, status.HTTP_201_CREATED)

    def _act(self, pk: UUID, change: Callable[..., Incident], input_class: type | None = None) -> Response:
        incident = incident_to_change(self.request, pk)
        values = self._read(input_class) if input_class else {}
        return self._answer(change(incident_id=incident.pk, actor=asker(self.request), **values))

    def _read(self, input_class: type) -> dict[str, Any]:
        serializer = input_class(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def _answer(self, incident: Incident, status_code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=incident.pk)).data, status_code)


class TimelineView(ListAPIView):
    """The incident's story. Poll with `after` for what is new."""

    queryset = TimelineEntry.objects.all()
    serializer_class = serializers.TimelineEntrySerializer
    filterset_class = filters.TimelineFilter
    ordering = ("id",)
    ordering_fields = ("id",)

    def get_queryset(self) -> QuerySet[TimelineEntry]:
        incident = incident_to_see(self.request, self.kwargs["incident_id"])
        return incident.timeline.select_related("actor")
