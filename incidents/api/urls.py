from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import response_viewsets, viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("incidents", viewsets.IncidentViewSet)
router.register("incidents/<uuid:incident_id>/tasks", response_viewsets.TaskViewSet)
router.register("incidents/<uuid:incident_id>/updates", response_viewsets.StatusUpdateViewSet)
router.register("incidents/<uuid:incident_id>/subscriptions", response_viewsets.SubscriptionViewSet)
router.register("action-items", response_viewsets.ActionItemViewSet)

urlpatterns = [
    path("incidents/<uuid:incident_id>/timeline", viewsets.TimelineView.as_view(), name="incident-timeline"),
    path("incidents/<uuid:incident_id>/roles", response_viewsets.RolesView.as_view(), name="incident-roles"),
    path("incidents/<uuid:incident_id>/links", response_viewsets.LinksView.as_view(), name="incident-links"),
    path(
        "incidents/<uuid:incident_id>/links/<uuid:link_id>",
        response_viewsets.LinkView.as_view(),
        name="incident-link",
    ),
    path(
        "incidents/<uuid:incident_id>/postmortem",
        response_viewsets.PostmortemView.as_view(),
        name="incident-postmortem",
    ),
    path("", include(router.urls)),
]
