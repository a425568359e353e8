import django_filters as filters
from django.db.models import Exists, OuterRef, QuerySet
from rest_framework import serializers

from teams.enums import Correlation, Role, SwapStatus
from teams.models import (
    HandOverNote,
    Membership,
    Override,
    Schedule,
    Service,
    ServiceDependency,
    ShiftSwap,
    Team,
    User,
)


class UserFilter(filters.FilterSet):
    team = filters.UUIDFilter(method="in_team", help_text="Members of this team.")
    is_active = filters.BooleanFilter()

    class Meta:
        model = User
        fields = ["team", "is_active"]

    def in_team(self, queryset: QuerySet[User], name: str, value: str) -> QuerySet[User]:
        # Only a team that the asker sees: else this would tell who belongs to a hidden one.
        teams = Team.objects.visible_to(self.request.user).filter(pk=value)
        return queryset.filter(Exists(Membership.objects.filter(user=OuterRef("pk"), team__in=teams)))


class MembershipFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")
    user = filters.UUIDFilter(field_name="user_id")
    role = filters.MultipleChoiceFilter(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ["team", "user", "role"]


class ServiceFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")

    class Meta:
        model = Service
        fields = ["team"]


class ServiceDependencyFilter(filters.FilterSet):
    service = filters.UUIDFilter(field_name="service_id")
    upstream = filters.UUIDFilter(field_name="upstream_id")
    correlation = filters.MultipleChoiceFilter(choices=Correlation.choices)

    class Meta:
        model = ServiceDependency
        fields = ["service", "upstream", "correlation"]


class ScheduleFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")

    class Meta:
        model = Schedule
        fields = ["team"]


class OverrideFilter(filters.FilterSet):
    schedule = filters.UUIDFilter(field_name="schedule_id")
    user = filters.UUIDFilter(field_name="user_id")
    ends_after = filters.IsoDateTimeFilter(field_name="ends_at", lookup_expr="gt")
    starts_before = filters.IsoDateTimeFilter(field_name="starts_at", lookup_expr="lt")

    class Meta:
        model = Override
        fields = ["schedule", "user", "ends_after", "starts_before"]


class ShiftSwapFilter(filters.FilterSet):
    schedule = filters.UUIDFilter(field_name="schedule_id")
    asker = filters.UUIDFilter(field_name="asker_id")
    asked = filters.UUIDFilter(field_name="asked_id")
    status = filters.MultipleChoiceFilter(choices=SwapStatus.choices)

    class Meta:
        model = ShiftSwap
        fields = ["schedule", "asker", "asked", "status"]


class HandOverNoteFilter(filters.FilterSet):
    schedule = filters.UUIDFilter(field_name="schedule_id")

    class Meta:
        model = HandOverNote
        fields = ["schedule"]


class CoverageQuerySerializer(serializers.Serializer):
    team = serializers.UUIDField(required=False, help_text="Only this team.")
