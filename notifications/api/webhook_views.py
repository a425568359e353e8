from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from notifications import webhooks
from notifications.models import Webhook, WebhookDelivery
from teams.access import require_manage
from teams.api.scoping import TeamOwnedViewSet

from . import filters
from . import webhook_serializers as serializers

DELIVERIES = WebhookDelivery.objects.select_related("incident")


class WebhookViewSet(TeamOwnedViewSet):
    """Addresses that are told of what happens to a team's incidents. Its managers see them."""

    queryset = Webhook.objects.select_related("team")
    serializer_class = serializers.WebhookSerializer
    filterset_class = filters.WebhookFilter
    search_fields = ["name"]
    throttle_scope: str | None = None

    def get_serializer_class(self) -> type[BaseSerializer]:
        shows_secret = self.action in ("create", "rotate_secret")
        return serializers.WebhookWithSecretSerializer if shows_secret else self.serializer_class

    @extend_schema(request=None, responses=serializers.WebhookWithSecretSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, **kwargs: str) -> Response:
        """Give it a new secret, shown only in this answer. For a day the old one signs as well."""
        webhook = self.get_object()
        webhooks.rotate_secret(webhook.pk)
        webhook.refresh_from_db()
        return Response(self.get_serializer(webhook).data)

    @extend_schema(request=None, responses={202: serializers.WebhookDeliverySerializer})
    @action(detail=True, methods=["post"], throttle_scope="test_page")
    def test(self, request: Request, **kwargs: str) -> Response:
        """Send it a test event."""
        delivery = webhooks.send_test(self.get_object())
        return Response(serializers.WebhookDeliverySerializer(delivery).data, status.HTTP_202_ACCEPTED)


class DeliveriesOfWebhookView(ListAPIView):
    """What a webhook was told, or is to be: the newest first, for thirty days."""

    queryset = DELIVERIES
    serializer_class = serializers.WebhookDeliverySerializer
    filterset_class = filters.WebhookDeliveryFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at",)

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        visible = Webhook.objects.visible_to(self.request.user)
        return DELIVERIES.filter(webhook=get_object_or_404(visible, pk=self.kwargs["webhook_id"]))


class WebhookDeliveryViewSet(ReadOnlyModelViewSet):
    """Every event that was told, or is to be, to the webhooks that the asker sees."""

    queryset = DELIVERIES
    serializer_class = serializers.WebhookDeliverySerializer
    filterset_class = filters.WebhookDeliveryFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at",)
    throttle_scope: str | None = None

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        return DELIVERIES.filter(webhook__in=Webhook.objects.visible_to(self.request.user))

    @extend_schema(request=None, responses={202: serializers.WebhookDeliverySerializer})
    @action(detail=True, methods=["post"], throttle_scope="test_page")
    def replay(self, request: Request, **kwargs: Any) -> Response:
        """Send it again as it was, with the same event id."""
        delivery = self.get_object()
        require_manage(request.user, delivery.webhook.team)
        again = webhooks.replay(delivery)
        return Response(serializers.WebhookDeliverySerializer(again).data, status.HTTP_202_ACCEPTED)
