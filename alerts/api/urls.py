from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("integrations", viewsets.IntegrationViewSet)
router.register("alerts", viewsets.AlertViewSet)
router.register("changes", viewsets.ChangeViewSet)

urlpatterns = [
    path(
        "incidents/<uuid:incident_id>/alerts", viewsets.IncidentAlertsView.as_view(), name="incident-alerts"
    ),
    path("", include(router.urls)),
]
