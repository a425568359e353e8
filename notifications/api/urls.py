from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("contact-methods", viewsets.ContactMethodViewSet)
router.register("notification-rules", viewsets.NotificationRuleViewSet)
router.register("quiet-hours", viewsets.QuietHoursViewSet)
router.register("notifications", viewsets.NotificationViewSet)
router.register("dead-letters", viewsets.DeadLetterViewSet, basename="dead-letter")

urlpatterns = [
    path(
        "incidents/<uuid:incident_id>/notifications",
        viewsets.IncidentNotificationsView.as_view(),
        name="incident-notifications",
    ),
    path("", include(router.urls)),
]
