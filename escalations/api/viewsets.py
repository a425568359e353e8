from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from escalations import engine, routing, team_settings
from escalations.models import EscalationPolicy, EscalationRun, PagingSettings, RoutingRule
from escalations.preview import preview
from incidents.api.lookup import asker, incident_to_change, incident_to_see
from incidents.enums import Severity
from teams.access import require_manage
from teams.api.scoping import TeamOwnedViewSet
from teams.models import Service, Team

from . import filters, serializers

RUNS = EscalationRun.objects.select_related("incident")


class PolicyViewSet(TeamOwnedViewSet):
    """Whom to page, in what order, and how often to start over."""

    queryset = EscalationPolicy.objects.select_related("team")
    serializer_class = serializers.PolicySerializer
    filterset_class = filters.PolicyFilter
    search_fields = ["name"]

    def get_queryset(self) -> QuerySet[EscalationPolicy]:
        return routing.with_steps(super().get_queryset())


class RoutingRuleViewSet(TeamOwnedViewSet):
    """Which policy deals with an incident: the first rule of the team that matches."""

    queryset = RoutingRule.objects.select_related("team")
    serializer_class = serializers.RoutingRuleSerializer
    filterset_class = filters.RoutingRuleFilter
    ordering = ("team", "position")
    ordering_fields = ("team", "position", "created_at")

    @extend_schema(
        request=serializers.ReorderSerializer, responses=serializers.RoutingRuleSerializer(many=True)
    )
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[])
    def reorder(self, request: Request) -> Response:
        """Put all rules of a team in a new order. Answers with them."""
        serializer = serializers.ReorderSerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        team = serializer.validated_data["team"]
        require_manage(request.user, team)
        routing.reorder(team=team, rule_ids=serializer.validated_data["rules"])
        rules = self.get_queryset().filter(team=team).order_by("position")
        return Response(self.get_serializer(rules, many=True).data)


class PagingSettingsView(RetrieveUpdateAPIView):
    """What a team has decided about paging: its default policy, and whether low urgency waits for working hours."""

    serializer_class = serializers.PagingSettingsSerializer

    def get_object(self) -> PagingSettings:
        team = get_object_or_404(Team.objects.visible_to(self.request.user), pk=self.kwargs["team_id"])
        if self.request.method not in SAFE_METHODS:
            require_manage(self.request.user, team)
        return team_settings.of_team(team)


class PreviewView(APIView):
    """Who would be paged, how and when, if an alert fired for the service."""

    @extend_schema(parameters=[serializers.PreviewQuerySerializer], responses=serializers.PreviewSerializer)
    def get(self, request: Request, service_id: UUID) -> Response:
        services = Service.objects.visible_to(request.user).select_related("team")
        service = get_object_or_404(services, pk=service_id)
        query = serializers.PreviewQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        given = query.validated_data
        found = preview(
            service=service,
            severity=Severity(given["severity"]),
            at=given.get("at", timezone.now()),
            labels=given.get("label"),
        )
        return Response(serializers.PreviewSerializer(found).data)


class RunViewSet(ReadOnlyModelViewSet):
    """Policies being carried out, and those that were."""

    queryset = RUNS
    serializer_class = serializers.RunSerializer
    filterset_class = filters.RunFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "priority")

    def get_queryset(self) -> QuerySet[EscalationRun]:
        return RUNS.visible_to(self.request.user)


class EscalationView(APIView):
    """Where paging about an incident has got to, and who will be next."""

    @extend_schema(responses=serializers.EscalationSerializer)
    def get(self, request: Request, incident_id: UUID) -> Response:
        incident = incident_to_see(request, incident_id)
        run = RUNS.filter(incident=incident).newest_first().first()
        data = {"run": run, "upcoming": engine.upcoming(incident)}
        return Response(serializers.EscalationSerializer(data).data)


class EscalateView(APIView):
    """Page the next step now, without waiting for an answer."""

    @extend_schema(request=None, responses=serializers.RunSerializer)
    def post(self, request: Request, incident_id: UUID) -> Response:
        incident = incident_to_change(request, incident_id)
        run = engine.escalate_now(incident_id=incident.pk, actor=asker(request))
        return Response(serializers.RunSerializer(run).data)


class ReassignView(APIView):
    """Hand the incident to a person, who is paged at once, or to another policy."""

    @extend_schema(request=serializers.ReassignSerializer, responses=serializers.RunSerializer)
    def post(self, request: Request, incident_id: UUID) -> Response:
        incident = incident_to_change(request, incident_id)
        serializer = serializers.ReassignSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        run = engine.reassign(incident_id=incident.pk, actor=asker(request), **serializer.validated_data)
        return Response(serializers.RunSerializer(run).data)
