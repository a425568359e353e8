from datetime import timedelta

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from alerts import integrations, maintenance, maintenance_series
from alerts.models import Alert, Change, Integration, MaintenanceSeries, MaintenanceWindow
from incidents.api.lookup import incident_to_see
from teams.access import require_respond
from teams.api.scoping import TeamOwnedViewSet

from . import filters, serializers

ALERTS = Alert.objects.select_related("integration__service__team", "incident")


class IntegrationViewSet(TeamOwnedViewSet):
    """Doors for monitoring systems. Removing one removes its alerts; switching it off keeps them."""

    queryset = Integration.objects.select_related("service__team")
    serializer_class = serializers.IntegrationSerializer
    filterset_class = filters.IntegrationFilter
    search_fields = ["name"]
    owner_path = "service.team"

    def get_serializer_class(self) -> type[serializers.IntegrationSerializer]:
        shows_key = self.action in ("create", "rotate_key")
        return serializers.IntegrationWithKeySerializer if shows_key else self.serializer_class

    @extend_schema(request=serializers.RotationSerializer, responses=serializers.IntegrationWithKeySerializer)
    @action(detail=True, methods=["post"], url_path="rotate-key")
    def rotate_key(self, request: Request, **kwargs: str) -> Response:
        """Give it a new key, shown only in this answer. The old one works on for `overlap_hours`, at once void by default."""
        integration = self.get_object()
        wanted = serializers.RotationSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        key = integrations.rotate_key(
            integration.pk, overlap=timedelta(hours=wanted.validated_data["overlap_hours"])
        )
        integration.refresh_from_db(fields=[*integrations.KEY_FIELDS, "updated_at"])
        integration.plain_key = key
        return Response(self.get_serializer(integration).data)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], url_path="end-old-key")
    def end_old_key(self, request: Request, **kwargs: str) -> Response:
        """The key before the last rotation is void from now on."""
        integrations.end_old_key(self.get_object().pk)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def perform_destroy(self, instance: Integration) -> None:
        integrations.delete_integration(instance.pk)


class AlertViewSet(ReadOnlyModelViewSet):
    """What monitoring systems sent, deduplicated."""

    queryset = ALERTS
    serializer_class = serializers.AlertSerializer
    filterset_class = filters.AlertFilter
    search_fields = ["title"]
    ordering = ("-id",)  # ids are in the order of time, and have an index however many there are
    ordering_fields = ("first_fired_at", "last_fired_at", "count")

    def get_queryset(self) -> QuerySet[Alert]:
        return ALERTS.visible_to(self.request.user)


class IncidentAlertsView(ListAPIView):
    """The alerts of an incident."""

    queryset = ALERTS
    serializer_class = serializers.AlertSerializer
    filterset_class = filters.AlertFilter
    search_fields = ["title"]
    ordering = ("-id",)  # ids are in the order of time, and have an index however many there are
    ordering_fields = ("first_fired_at", "last_fired_at", "count")

    def get_queryset(self) -> QuerySet[Alert]:
        return ALERTS.filter(incident=incident_to_see(self.request, self.kwargs["incident_id"]))


class ChangeViewSet(ReadOnlyModelViewSet):
    """What was done to services: deployments and the like, as PagerDuty's change events tell of them."""

    queryset = Change.objects.select_related("integration__service__team")
    serializer_class = serializers.ChangeSerializer
    filterset_class = filters.ChangeFilter
    search_fields = ["summary", "source"]
    ordering = ("-at",)
    ordering_fields = ("at",)

    def get_queryset(self) -> QuerySet[Change]:
        return super().get_queryset().visible_to(self.request.user)


class MaintenanceWindowViewSet(TeamOwnedViewSet):
    """While one lasts, incidents of its services are opened, but nobody is paged. Responders add and end these too.

    One that has begun ends now when it is removed; one that is over is not changed.
    """

    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    queryset = MaintenanceWindow.objects.select_related("team", "created_by").prefetch_related("services")
    serializer_class = serializers.MaintenanceWindowSerializer
    filterset_class = filters.MaintenanceWindowFilter
    search_fields = ["title"]
    require = staticmethod(require_respond)
    ordering = ("-starts_at",)
    ordering_fields = ("starts_at", "ends_at", "created_at")

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action == "partial_update":
            return serializers.MaintenanceChangeSerializer
        return super().get_serializer_class()

    def perform_destroy(self, instance: MaintenanceWindow) -> None:
        maintenance.cancel_window(instance.pk)


class MaintenanceSeriesViewSet(TeamOwnedViewSet):
    """Maintenance that comes again. Its windows are made five weeks ahead, and can be changed or cancelled alone.

    A change makes those to come anew. What is removed does not come again; a window that has begun goes on.
    """

    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    queryset = MaintenanceSeries.objects.select_related("team", "created_by").prefetch_related("services")
    serializer_class = serializers.MaintenanceSeriesSerializer
    filterset_class = filters.MaintenanceSeriesFilter
    search_fields = ["title"]
    require = staticmethod(require_respond)
    ordering = ("title",)
    ordering_fields = ("title", "starts_at", "created_at")

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action == "partial_update":
            return serializers.MaintenanceSeriesChangeSerializer
        return super().get_serializer_class()

    def perform_destroy(self, instance: MaintenanceSeries) -> None:
        maintenance_series.end_series(instance.pk)
