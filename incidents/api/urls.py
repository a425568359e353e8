from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("incidents", viewsets.IncidentViewSet)

urlpatterns = [
    path("incidents/<uuid:incident_id>/timeline", viewsets.TimelineView.as_view(), name="incident-timeline"),
    path("", include(router.urls)),
]
