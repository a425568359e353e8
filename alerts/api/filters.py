import django_filters as filters

from alerts.enums import AlertStatus, Source
from alerts.models import Alert, Change, Heartbeat, Integration, MaintenanceSeries, MaintenanceWindow
from incidents.enums import Severity


class IntegrationFilter(filters.FilterSet):
    service = filters.UUIDFilter(field_name="service_id")
    team = filters.UUIDFilter(field_name="service__team_id")
    source = filters.MultipleChoiceFilter(choices=Source.choices)
    is_enabled = filters.BooleanFilter()

    class Meta:
        model = Integration
        fields = ["service", "team", "source", "is_enabled"]


class AlertFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=AlertStatus.choices)
    severity = filters.MultipleChoiceFilter(choices=Severity.choices)
    is_current = filters.BooleanFilter()
    dedup_key = filters.CharFilter()
    integration = filters.UUIDFilter(field_name="integration_id")
    incident = filters.UUIDFilter(field_name="incident_id")
    service = filters.UUIDFilter(field_name="integration__service_id")
    team = filters.UUIDFilter(field_name="integration__service__team_id")
    fired_after = filters.IsoDateTimeFilter(field_name="last_fired_at", lookup_expr="gte")
    fired_before = filters.IsoDateTimeFilter(field_name="first_fired_at", lookup_expr="lt")

    class Meta:
        model = Alert
        fields = [
            "status", "severity", "is_current", "dedup_key", "integration", "incident", "service", "team",
            "fired_after", "fired_before",
        ]  # fmt: skip


class ChangeFilter(filters.FilterSet):
    service = filters.UUIDFilter(field_name="integration__service_id")
    team = filters.UUIDFilter(field_name="integration__service__team_id")
    integration = filters.UUIDFilter(field_name="integration_id")
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Change
        fields = ["service", "team", "integration", "since", "until"]


class HeartbeatFilter(filters.FilterSet):
    service = filters.UUIDFilter(field_name="integration__service_id")
    team = filters.UUIDFilter(field_name="integration__service__team_id")
    is_enabled = filters.BooleanFilter()
    is_down = filters.BooleanFilter(
        field_name="expired_at", lookup_expr="isnull", exclude=True, label="Whether its alert fires."
    )

    class Meta:
        model = Heartbeat
        fields = ["service", "team", "is_enabled", "is_down"]


class MaintenanceWindowFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")
    service = filters.UUIDFilter(
        field_name="services", label="Named by the window; those of all of a team's services are left out."
    )
    ends_after = filters.IsoDateTimeFilter(field_name="ends_at", lookup_expr="gt")
    starts_before = filters.IsoDateTimeFilter(field_name="starts_at", lookup_expr="lt")

    class Meta:
        model = MaintenanceWindow
        fields = ["team", "service", "ends_after", "starts_before"]


class MaintenanceSeriesFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")

    class Meta:
        model = MaintenanceSeries
        fields = ["team"]
