from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from alerts import heartbeats
from alerts.models import Heartbeat, HeartbeatPing
from teams.api.scoping import TeamOwnedViewSet

from .filters import HeartbeatFilter
from .heartbeat_serializers import (
    HeartbeatChangeSerializer,
    HeartbeatPingSerializer,
    HeartbeatSerializer,
)


class HeartbeatViewSet(TeamOwnedViewSet):
    """Programs that say at intervals that they are alive. An alert fires when a ping is late or tells of a failure.

    One that is removed takes its alert with it: it is resolved.
    """

    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    queryset = Heartbeat.objects.select_related("integration__service__team")
    serializer_class = HeartbeatSerializer
    filterset_class = HeartbeatFilter
    search_fields = ["name", "description"]
    owner_path = "integration.service.team"
    ordering_fields = ("name", "last_ping_at", "created_at", "updated_at")

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action == "partial_update":
            return HeartbeatChangeSerializer
        return super().get_serializer_class()

    def perform_create(self, serializer: BaseSerializer) -> None:
        self.require(self.request.user, serializer.validated_data["service"].team)
        serializer.save()

    def perform_destroy(self, instance: Heartbeat) -> None:
        heartbeats.delete(instance.pk)

    @extend_schema(request=None, responses=HeartbeatSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, **kwargs: str) -> Response:
        """Nobody minds from now on when no ping comes; its alert is resolved."""
        return self._switch(on=False)

    @extend_schema(request=None, responses=HeartbeatSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, **kwargs: str) -> Response:
        """Watch it again. One that has pinged before gets a whole interval from now."""
        return self._switch(on=True)

    def _switch(self, *, on: bool) -> Response:
        return Response(self.get_serializer(heartbeats.switch(self.get_object().pk, on=on)).data)


class HeartbeatPingsView(ListAPIView):
    """What it said, the newest first; about a hundred are kept."""

    queryset = HeartbeatPing.objects.all()
    serializer_class = HeartbeatPingSerializer
    ordering = ("-id",)
    ordering_fields = ("id",)

    def get_queryset(self) -> QuerySet[HeartbeatPing]:
        heartbeat_id: UUID = self.kwargs["heartbeat_id"]
        heartbeat = get_object_or_404(Heartbeat.objects.visible_to(self.request.user), pk=heartbeat_id)
        return heartbeat.pings.all()
