from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import viewsets, webhook_views

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("contact-methods", viewsets.ContactMethodViewSet)
router.register("notification-rules", viewsets.NotificationRuleViewSet)
router.register("quiet-hours", viewsets.QuietHoursViewSet)
router.register("notifications", viewsets.NotificationViewSet)
router.register("dead-letters", viewsets.DeadLetterViewSet, basename="dead-letter")
router.register("webhooks", webhook_views.WebhookViewSet)
router.register("webhook-deliveries", webhook_views.WebhookDeliveryViewSet)

urlpatterns = [
    path(
        "incidents/<uuid:incident_id>/notifications",
        viewsets.IncidentNotificationsView.as_view(),
        name="incident-notifications",
    ),
    path(
        "webhooks/<uuid:webhook_id>/deliveries",
        webhook_views.DeliveriesOfWebhookView.as_view(),
        name="webhook-deliveries-of",
    ),
    path("push-subscriptions", viewsets.PushSubscriptionView.as_view(), name="push-subscriptions"),
    path("", include(router.urls)),
]
