"""The administrator's view of incidents: records, with the two answers that anybody may have to give."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from openalert.admin_tools import RecordAdmin, RecordInline
from openalert.exceptions import OpenAlertError

from . import lifecycle, timeline
from .models import Incident, TimelineEntry
from .timeline import Actor


class TimelineInline(RecordInline):
    model = TimelineEntry
    fields = ("at", "what", "via")
    readonly_fields = fields
    show_change_link = False

    @admin.display(description="what happened")
    def what(self, entry: TimelineEntry) -> str:
        return timeline.sentence(entry)


@admin.register(Incident)
class IncidentAdmin(RecordAdmin):
    list_display = (
        "number",
        "title",
        "severity",
        "status",
        "service",
        "team",
        "opened_at",
        "acknowledged_by",
    )
    list_display_links = ("number", "title")
    list_filter = ("status", "severity", "service__team", "service", "opened_at")
    list_select_related = ("service__team", "acknowledged_by")
    search_fields = ("title", "=number")
    date_hierarchy = "opened_at"
    inlines = (TimelineInline,)
    actions = ("acknowledge", "resolve")

    @admin.display(ordering="service__team__name")
    def team(self, incident: Incident) -> str:
        return str(incident.service.team)

    @admin.action(description="Acknowledge", permissions=["act"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        self._answer(request, queryset, lifecycle.acknowledge)

    @admin.action(description="Resolve", permissions=["act"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Incident]) -> None:
        self._answer(request, queryset, lifecycle.resolve)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("incidents.change_incident")

    def _answer(
        self, request: HttpRequest, queryset: QuerySet[Incident], answer: Callable[..., Incident]
    ) -> None:
        actor = Actor.person(request.user, via="admin")
        done = 0
        for incident_id in queryset.values_list("pk", flat=True):
            try:
                answer(incident_id=incident_id, actor=actor)
                done += 1
            except OpenAlertError as error:
                self.message_user(request, error.detail, messages.WARNING)
        self.message_user(request, f"{done} incidents: {answer.__name__}d.", messages.SUCCESS)


@admin.register(TimelineEntry)
class TimelineEntryAdmin(RecordAdmin):
    list_display = ("at", "incident", "kind", "what", "actor_name", "via")
    list_filter = ("kind", "actor_kind", "via", "at")
    list_select_related = ("incident",)
    search_fields = ("incident__title", "=incident__number", "actor_name")
    show_full_result_count = False

    @admin.display(description="what happened")
    def what(self, entry: TimelineEntry) -> str:
        return timeline.sentence(entry)
