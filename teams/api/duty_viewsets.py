"""What people do about their shifts: swaps, notes, calendar feeds; and the look ahead."""

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from teams import coverage, feeds, hand_overs, roster, swaps
from teams.models import CalendarFeed, HandOverNote, Schedule, ShiftSwap, Team

from . import duty_serializers, filters
from .serializers import ShiftQuerySerializer


class ShiftSwapViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.CreateModelMixin, GenericViewSet
):
    """Requests to be relieved of a shift, of the schedules of your teams."""

    queryset = ShiftSwap.objects.select_related("asker", "answered_by", "schedule__team")
    serializer_class = duty_serializers.ShiftSwapSerializer
    filterset_class = filters.ShiftSwapFilter
    permission_classes = [IsAuthenticated]  # the heart knows who was asked
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "starts_at", "expires_at")

    def get_queryset(self) -> QuerySet[ShiftSwap]:
        return self.queryset.filter(schedule__team__in=Team.objects.visible_to(self.request.user))

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.instance = swaps.ask(**serializer.validated_data, by=self.request.user)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, **kwargs: str) -> Response:
        """Take the shift: it becomes an override."""
        return self._answer(swaps.accept(swap_id=self.get_object().pk, by=request.user))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def decline(self, request: Request, **kwargs: str) -> Response:
        """Say no, if it was you who was asked."""
        return self._answer(swaps.decline(swap_id=self.get_object().pk, by=request.user))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, **kwargs: str) -> Response:
        """Take your own request back."""
        return self._answer(swaps.withdraw(swap_id=self.get_object().pk, by=request.user))

    def _answer(self, swap: ShiftSwap) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=swap.pk)).data)


class HandOverNoteViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet,
):
    """What those on call leave the next ones. Responders write them; their authors and managers remove them."""

    queryset = HandOverNote.objects.select_related("author", "schedule__team")
    serializer_class = duty_serializers.HandOverNoteSerializer
    filterset_class = filters.HandOverNoteFilter
    permission_classes = [IsAuthenticated]
    ordering = ("-created_at",)
    ordering_fields = ("created_at",)

    def get_queryset(self) -> QuerySet[HandOverNote]:
        return self.queryset.filter(schedule__team__in=Team.objects.visible_to(self.request.user))

    def perform_create(self, serializer: BaseSerializer) -> None:
        serializer.instance = hand_overs.write_note(**serializer.validated_data, by=self.request.user)

    def perform_destroy(self, note: HandOverNote) -> None:
        hand_overs.remove_note(note=note, by=self.request.user)


class CalendarFeedViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet,
):
    """Your calendar feeds (iCal). There is one for a schedule, and one for your own shifts: making another makes the
    old address void."""

    queryset = CalendarFeed.objects.all()
    serializer_class = duty_serializers.CalendarFeedSerializer
    permission_classes = [IsAuthenticated]
    ordering = ("created_at",)
    ordering_fields = ("created_at",)

    def get_queryset(self) -> QuerySet[CalendarFeed]:
        return self.queryset.filter(user=self.request.user)

    def perform_create(self, serializer: BaseSerializer) -> None:
        schedule = serializer.validated_data.get("schedule")
        feed, token = feeds.open_feed(user=self.request.user, schedule=schedule)
        feed.url = feeds.address(token)
        serializer.instance = feed

    def perform_destroy(self, feed: CalendarFeed) -> None:
        feeds.revoke(feed=feed)


class OwnShiftsView(APIView):
    """Your shifts in all schedules, in order."""

    @extend_schema(
        parameters=[ShiftQuerySerializer], responses=duty_serializers.OwnShiftSerializer(many=True)
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        query = ShiftQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        found = roster.own_shifts(request.user, **query.validated_data)
        return Response(duty_serializers.OwnShiftSerializer(found, many=True).data)


class CoverageView(APIView):
    """What will go wrong in the next 30 days with the schedules of your teams: gaps, layers that never get a turn, people
    who cannot be reached."""

    @extend_schema(
        parameters=[filters.CoverageQuerySerializer], responses=duty_serializers.FindingSerializer(many=True)
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        query = filters.CoverageQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        teams = Team.objects.visible_to(request.user)
        if team := query.validated_data.get("team"):
            teams = teams.filter(Q(pk=team))
        at, teams = timezone.now(), list(teams)
        schedules = coverage.load(Schedule.objects.filter(team__in=teams), at)
        found = coverage.check(teams, schedules, at=at)
        return Response(duty_serializers.FindingSerializer(found, many=True).data)
