from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("contact-methods", viewsets.ContactMethodViewSet)
router.register("notification-rules", viewsets.NotificationRuleViewSet)
router.register("notifications", viewsets.NotificationViewSet)

urlpatterns = [
    path(
        "incidents/<uuid:incident_id>/notifications",
        viewsets.IncidentNotificationsView.as_view(),
        name="incident-notifications",
    ),
    path("push-subscriptions", viewsets.PushSubscriptionView.as_view(), name="push-subscriptions"),
    path("", include(router.urls)),
]
