from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import field_views, heartbeat_views, rule_views, split_views, viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("integrations", viewsets.IntegrationViewSet)
router.register("alerts", viewsets.AlertViewSet)
router.register("changes", viewsets.ChangeViewSet)
router.register("heartbeats", heartbeat_views.HeartbeatViewSet)
router.register("maintenance-windows", viewsets.MaintenanceWindowViewSet)
router.register("maintenance-series", viewsets.MaintenanceSeriesViewSet)
router.register("integrations/<uuid:integration_id>/rules", rule_views.RuleViewSet)

urlpatterns = [
    path(
        "incidents/<uuid:incident_id>/alerts", viewsets.IncidentAlertsView.as_view(), name="incident-alerts"
    ),
    path("incidents/<uuid:incident_id>/split", split_views.SplitView.as_view(), name="incident-split"),
    path("incidents/<uuid:incident_id>/unmerge", split_views.UnmergeView.as_view(), name="incident-unmerge"),
    path(
        "heartbeats/<uuid:heartbeat_id>/pings",
        heartbeat_views.HeartbeatPingsView.as_view(),
        name="heartbeat-pings",
    ),
    path(
        "integrations/<uuid:integration_id>/held-alerts",
        rule_views.HeldAlertsView.as_view(),
        name="integration-held-alerts",
    ),
    path(
        "integrations/<uuid:integration_id>/fields/dry-run",
        field_views.FieldsDryRunView.as_view(),
        name="integration-fields-dry-run",
    ),
    path("", include(router.urls)),
]
