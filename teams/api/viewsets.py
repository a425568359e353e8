from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView, RetrieveUpdateAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from teams import coverage, dependencies, oncall, overrides
from teams.access import require_administer, require_respond
from teams.enums import Correlation
from teams.models import (
    USUAL_WINDOW_MINUTES,
    Membership,
    Override,
    Schedule,
    Service,
    ServiceDependency,
    Team,
    User,
)
from teams.queries import people_visible_to, with_rotation
from teams.services import remove_service

from . import filters, serializers
from .duty_serializers import FindingSerializer, SavedScheduleSerializer
from .scoping import TeamOwnedViewSet


class MeView(RetrieveUpdateAPIView):
    """The person who asks."""

    serializer_class = serializers.MeSerializer
    http_method_names = ["get", "patch", "head"]

    def get_object(self) -> User:
        return User.objects.prefetch_related("memberships__team").get(pk=self.request.user.pk)


class UserViewSet(ReadOnlyModelViewSet):
    """The people who share a team with the asker."""

    queryset = User.objects.all()
    serializer_class = serializers.UserSerializer
    filterset_class = filters.UserFilter
    search_fields = ["name", "email"]
    ordering = ("name",)
    ordering_fields = ("name", "email")

    def get_queryset(self) -> QuerySet[User]:
        return people_visible_to(self.request.user)


class TeamViewSet(TeamOwnedViewSet):
    """Teams of the asker. Only administrators create and remove teams; managers change theirs."""

    queryset = Team.objects.all()
    serializer_class = serializers.TeamSerializer
    search_fields = ["name"]
    owner_path = ""

    def perform_create(self, serializer: BaseSerializer) -> None:
        require_administer(self.request.user)
        serializer.save()

    def perform_destroy(self, instance: Team) -> None:
        require_administer(self.request.user)
        instance.delete()


class MembershipViewSet(TeamOwnedViewSet):
    """Who belongs to which team, and as what."""

    queryset = Membership.objects.select_related("team")
    serializer_class = serializers.MembershipSerializer
    filterset_class = filters.MembershipFilter
    ordering = ("created_at",)
    ordering_fields = ("created_at", "role")

    def get_queryset(self) -> QuerySet[Membership]:
        return self.queryset.filter(team__in=Team.objects.visible_to(self.request.user))


class ServiceViewSet(TeamOwnedViewSet):
    """What the teams run."""

    queryset = Service.objects.select_related("team")
    serializer_class = serializers.ServiceSerializer
    filterset_class = filters.ServiceFilter
    search_fields = ["name"]

    def perform_destroy(self, service: Service) -> None:
        remove_service(service_id=service.pk, by=self.request.user)


class ServiceDependencyViewSet(TeamOwnedViewSet):
    """Which services depend on which, and what follows for their alerts.

    Members of either service's team see it. The managers of the dependent service's team declare it and change what
    follows; for `join` they have to be responders of the other team as well. Managers of either team remove it.
    """

    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    permission_classes = [IsAuthenticated]  # the heart knows of two teams

    queryset = ServiceDependency.objects.select_related("service__team", "upstream__team")
    serializer_class = serializers.ServiceDependencySerializer
    filterset_class = filters.ServiceDependencyFilter
    ordering = ("created_at",)
    ordering_fields = ("created_at", "updated_at")

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action == "partial_update":
            return serializers.DependencySettingSerializer
        return super().get_serializer_class()

    def perform_create(self, serializer: BaseSerializer) -> None:
        given = {
            "correlation": Correlation.SUGGEST,
            "window_minutes": USUAL_WINDOW_MINUTES,
            **serializer.validated_data,
        }
        serializer.instance = dependencies.add_dependency(**given, by=self.request.user)

    def perform_update(self, serializer: BaseSerializer) -> None:
        present = serializer.instance
        given = {
            "correlation": present.correlation,
            "window_minutes": present.window_minutes,
            **serializer.validated_data,
        }
        serializer.instance = dependencies.change_dependency(
            dependency_id=present.pk, **given, by=self.request.user
        )

    def perform_destroy(self, dependency: ServiceDependency) -> None:
        dependencies.remove_dependency(dependency=dependency, by=self.request.user)


class ScheduleViewSet(TeamOwnedViewSet):
    """Who is on call when: rotations in layers, and overrides."""

    queryset = Schedule.objects.select_related("team")
    serializer_class = serializers.ScheduleSerializer
    filterset_class = filters.ScheduleFilter
    search_fields = ["name"]

    asked_about: dict[str, datetime] = {}  # what is loaded of overrides and the like

    def get_queryset(self) -> QuerySet[Schedule]:
        return with_rotation(super().get_queryset(), **self.asked_about)

    @extend_schema(
        parameters=[serializers.OnCallQuerySerializer], responses=serializers.OnCallSerializer, filters=False
    )
    @action(detail=True, url_path="on-call", filter_backends=[], pagination_class=None)
    def on_call(self, request: Request, **kwargs: str) -> Response:
        """Who is on call at an instant."""
        query = serializers.OnCallQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        at = query.validated_data.get("at", timezone.now())
        self.asked_about = {"start": at, "end": at + oncall.INSTANT}
        context = {**self.get_serializer_context(), "at": at}
        return Response(serializers.OnCallSerializer(self.get_object(), context=context).data)

    @extend_schema(
        parameters=[serializers.ShiftQuerySerializer], responses=serializers.ShiftSerializer(many=True)
    )
    @action(detail=True, filter_backends=[], pagination_class=None)
    def shifts(self, request: Request, **kwargs: str) -> Response:
        """The final result of layers, overrides and the fallback in a span of time, in order; gaps are left out."""
        query = serializers.ShiftQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        self.asked_about = query.validated_data
        shifts = oncall.shifts(self.get_object(), **self.asked_about)
        return Response(serializers.ShiftSerializer(shifts, many=True).data)

    @extend_schema(responses=FindingSerializer(many=True), filters=False)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def coverage(self, request: Request, **kwargs: str) -> Response:
        """What will go wrong with it in the next 30 days: gaps, layers that never get a turn, people who cannot answer."""
        found = coverage.check_schedule(self.get_object())
        return Response(FindingSerializer(found, many=True).data)

    def get_serializer_class(self) -> type[BaseSerializer]:
        if self.action in ("create", "update", "partial_update"):
            return SavedScheduleSerializer
        return super().get_serializer_class()


class OverrideViewSet(TeamOwnedViewSet):
    """One person instead of whoever the layers name, or instead of one of them. Responders add and remove these too: they swap shifts.

    An override is not changed but removed and made anew; what has been is not rewritten: one that has begun ends
    now when it is removed.
    """

    http_method_names = ["get", "post", "delete"]

    queryset = Override.objects.select_related("schedule__team", "created_by")
    serializer_class = serializers.OverrideSerializer
    filterset_class = filters.OverrideFilter
    owner_path = "schedule.team"
    require = staticmethod(require_respond)
    ordering = ("-starts_at",)
    ordering_fields = ("starts_at", "ends_at", "created_at")

    def get_queryset(self) -> QuerySet[Override]:
        return self.queryset.filter(schedule__team__in=Team.objects.visible_to(self.request.user))

    def perform_create(self, serializer: BaseSerializer) -> None:
        given = serializer.validated_data
        require_respond(self.request.user, given["schedule"].team)
        serializer.instance = overrides.add_override(**given, by=self.request.user)

    def perform_destroy(self, override: Override) -> None:
        overrides.remove_override(override_id=override.pk)


class OnCallView(ListAPIView):
    """Who is on call now, in every schedule of the asker's teams."""

    queryset = Schedule.objects.all()
    serializer_class = serializers.OnCallSerializer
    filterset_class = filters.ScheduleFilter
    ordering = ("name",)
    ordering_fields = ("name",)

    def get_queryset(self) -> QuerySet[Schedule]:
        at = self.get_serializer_context()["at"]
        return with_rotation(
            Schedule.objects.visible_to(self.request.user), start=at, end=at + oncall.INSTANT
        )

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "at": self._now}

    @cached_property
    def _now(self) -> datetime:
        return timezone.now()
