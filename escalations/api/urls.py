from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("escalation-policies", viewsets.PolicyViewSet)
router.register("routing-rules", viewsets.RoutingRuleViewSet)
router.register("escalation-runs", viewsets.RunViewSet)

urlpatterns = [
    path(
        "incidents/<uuid:incident_id>/escalation",
        viewsets.EscalationView.as_view(),
        name="incident-escalation",
    ),
    path("incidents/<uuid:incident_id>/escalate", viewsets.EscalateView.as_view(), name="incident-escalate"),
    path("incidents/<uuid:incident_id>/reassign", viewsets.ReassignView.as_view(), name="incident-reassign"),
    path("teams/<uuid:team_id>/paging", viewsets.PagingSettingsView.as_view(), name="team-paging"),
    path(
        "services/<uuid:service_id>/escalation-preview",
        viewsets.PreviewView.as_view(),
        name="service-escalation-preview",
    ),
    path("", include(router.urls)),
]
