import django_filters as filters
from django.db.models import QuerySet

from incidents.enums import ActionItemState, Kind, Severity, Status
from incidents.models import ActionItem, Incident, IncidentQuerySet, TimelineEntry


class IncidentFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=Status.choices)
    severity = filters.MultipleChoiceFilter(choices=Severity.choices)
    resolved = filters.BooleanFilter(method="is_resolved", help_text="false: all that still needs somebody.")
    number = filters.NumberFilter()
    service = filters.UUIDFilter(field_name="service_id")
    team = filters.UUIDFilter(field_name="service__team_id")
    assigned_to = filters.UUIDFilter(field_name="assigned_to_id")
    merged_into = filters.UUIDFilter(field_name="merged_into_id")
    opened_after = filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="gte")
    opened_before = filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")

    class Meta:
        model = Incident
        fields = [
            "status", "severity", "resolved", "number", "service", "team", "assigned_to", "merged_into",
            "opened_after", "opened_before",
        ]  # fmt: skip

    def is_resolved(self, queryset: IncidentQuerySet, name: str, value: bool) -> QuerySet[Incident]:
        return queryset.filter(status=Status.RESOLVED) if value else queryset.unresolved()


class TimelineFilter(filters.FilterSet):
    kind = filters.MultipleChoiceFilter(choices=Kind.choices)
    after = filters.NumberFilter(field_name="id", lookup_expr="gt", help_text="Entries behind this one.")

    class Meta:
        model = TimelineEntry
        fields = ["kind", "after"]


class ActionItemFilter(filters.FilterSet):
    state = filters.MultipleChoiceFilter(choices=ActionItemState.choices)
    incident = filters.UUIDFilter(field_name="incident_id")
    team = filters.UUIDFilter(field_name="incident__service__team_id")
    assignee = filters.UUIDFilter(field_name="assignee_id")
    due_before = filters.DateFilter(field_name="due_on", lookup_expr="lt")

    class Meta:
        model = ActionItem
        fields = ["state", "incident", "team", "assignee", "due_before"]
