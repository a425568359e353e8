from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from alerts import dry_run, rulebook
from alerts.models import HeldAlert, Integration, IntegrationRule
from teams.api.scoping import TeamOwnedViewSet

from . import rule_serializers as serializers


class UnderIntegration:
    """For views of what belongs to the integration that the address names."""

    kwargs: dict[str, Any]
    request: Request

    @cached_property
    def integration(self) -> Integration:
        """Raises Http404 when it is not there or not the asker's to see."""
        found = Integration.objects.visible_to(self.request.user).select_related("service__team")
        return get_object_or_404(found, pk=self.kwargs["integration_id"])


class RuleViewSet(UnderIntegration, TeamOwnedViewSet):
    """What to make of an integration's alerts: its rules, which are tried in their order."""

    queryset = IntegrationRule.objects.select_related("integration__service__team")
    serializer_class = serializers.RuleSerializer
    owner_path = "integration.service.team"
    lookup_value_converter = "uuid"
    ordering = ("position",)
    ordering_fields = ("position", "created_at")
    search_fields = ["name"]

    def get_queryset(self) -> QuerySet[IntegrationRule]:
        return self.queryset.filter(integration=self.integration)

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        if not getattr(self, "swagger_fake_view", False):
            context["integration"] = self.integration
        return context

    def perform_create(self, serializer: BaseSerializer) -> None:
        self.require(self.request.user, self.integration.service.team)
        serializer.save()

    def perform_destroy(self, instance: IntegrationRule) -> None:
        rulebook.remove(instance.pk)

    @extend_schema(request=serializers.OrderSerializer, responses=serializers.RuleSerializer(many=True))
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[])
    def order(self, request: Request, integration_id: UUID) -> Response:
        """Put all rules of the integration in a new order. Answers with them."""
        self.require(request.user, self.integration.service.team)
        serializer = serializers.OrderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        rulebook.reorder(self.integration, serializer.validated_data["rules"])
        rules = self.get_queryset().order_by("position")
        return Response(self.get_serializer(rules, many=True).data)

    @extend_schema(request=serializers.RulesToTrySerializer, responses=serializers.DryRunSerializer)
    @action(detail=False, methods=["post"], url_path="dry-run", pagination_class=None, filter_backends=[])
    def dry_run(self, request: Request, integration_id: UUID) -> Response:
        """What rules would make of the alerts that came last. Nothing is changed."""
        context = self.get_serializer_context()
        serializer = serializers.RulesToTrySerializer(data=request.data, context=context)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data.get("rules")
        rules = self.get_queryset().order_by("position")
        to_try = (
            rules
            if given is None
            else [IntegrationRule(integration=self.integration, **facts) for facts in given]
        )
        tried = dry_run.run(to_try, self.integration)
        return Response(serializers.DryRunSerializer(tried).data)


class HeldAlertsView(UnderIntegration, ListAPIView):
    """What rules hold back: it becomes an alert when it has lasted, or was sent often enough."""

    queryset = HeldAlert.objects.select_related("integration__service", "to_service")
    serializer_class = serializers.HeldAlertSerializer
    ordering = ("-last_fired_at",)
    ordering_fields = ("last_fired_at", "count")

    def get_queryset(self) -> QuerySet[HeldAlert]:
        return self.queryset.filter(integration=self.integration)
