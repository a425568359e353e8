"""The administrator's view of incidents: records, with the two answers that anybody may have to give."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from openalert.admin_tools import ModelAdmin, RecordAdmin, RecordInline
from openalert.exceptions import OpenAlertError

from . import lifecycle, subscriptions, timeline
from .models import Incident, ReportSchedule, ReportSent, ResponseSettings, Stakeholder, TimelineEntry
from .reports import mail
from .response_forms import ResponseSettingsForm
from .timeline import Actor

NEWEST_ENTRIES = 10_000


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


class DoorFilter(admin.AllValuesFieldListFilter):
    """Offers the doors of the newest entries: to find those of all, every entry would be read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        newest = TimelineEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self.lookup_choices = self.lookup_choices.filter(pk__gt=newest - NEWEST_ENTRIES)


@admin.register(TimelineEntry)
class TimelineEntryAdmin(RecordAdmin):
    list_display = ("at", "incident", "kind", "what", "actor_name", "via")
    list_filter = ("kind", "actor_kind", ("via", DoorFilter), "at")
    list_select_related = ("incident",)
    search_fields = ("incident__title", "=incident__number", "actor_name")

    @admin.display(description="what happened")
    def what(self, entry: TimelineEntry) -> str:
        return timeline.sentence(entry)


class ReportSentInline(RecordInline):
    model = ReportSent
    fields = ("day", "address", "sent_at", "failure")
    readonly_fields = fields
    show_change_link = False
    max_num = 0


@admin.register(ReportSchedule)
class ReportScheduleAdmin(ModelAdmin):
    """Who gets a report; its periodic task, one click away, says when."""

    list_display = ("team", "kind", "recipients", "is_on", "when")
    list_filter = ("kind", "team")
    list_select_related = ("team", "task__crontab")
    fields = ("team", "kind", "recipients", "addresses", "when")
    readonly_fields = ("team", "kind", "when")
    inlines = (ReportSentInline,)
    actions = ("send_now",)
    change_form_template = "admin/incidents/reportschedule/change_form.html"

    @admin.display(boolean=True, description="on")
    def is_on(self, schedule: ReportSchedule) -> bool:
        return schedule.task.enabled

    @admin.display(description="when")
    def when(self, schedule: ReportSchedule) -> str:
        address = reverse("admin:django_celery_beat_periodictask_change", args=[schedule.task_id])
        return format_html('<a href="{}">{}</a>', address, schedule.task.crontab or schedule.task)

    @admin.action(description="Send now", permissions=["change"])
    def send_now(self, request: HttpRequest, queryset: QuerySet[ReportSchedule]) -> None:
        for schedule in queryset:
            self._send(request, schedule)

    def response_change(self, request: HttpRequest, obj: ReportSchedule) -> HttpResponseRedirect:
        if "_send" in request.POST:
            self._send(request, obj)
            return HttpResponseRedirect(request.path)
        return super().response_change(request, obj)

    def _send(self, request: HttpRequest, schedule: ReportSchedule) -> None:
        try:
            count = mail.send_now(schedule)
        except OpenAlertError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.message_user(request, f"{schedule}: sent to {count}.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # every team has both; see incidents.reports.schedules

    def has_delete_permission(self, request: HttpRequest, obj: ReportSchedule | None = None) -> bool:
        return False


class ResponseSettingsAdminForm(ResponseSettingsForm):
    class Meta(ResponseSettingsForm.Meta):
        fields = ["team", "roles", "postmortem_template"]


@admin.register(ResponseSettings)
class ResponseSettingsAdmin(ModelAdmin):
    """Roles and the template of postmortems: of a team, or without one of the installation."""

    form = ResponseSettingsAdminForm
    list_display = ("__str__", "team")
    list_select_related = ("team",)


@admin.register(Stakeholder)
class StakeholderAdmin(RecordAdmin):
    """Who gets status updates without an account. They say themselves whether they want them."""

    list_display = ("address", "confirmed_at", "asked_at", "asked")
    list_filter = ("confirmed_at",)
    search_fields = ("address",)
    actions = ("forget",)

    @admin.action(description="Forget them", permissions=["forget"])
    def forget(self, request: HttpRequest, queryset: QuerySet[Stakeholder]) -> None:
        count = subscriptions.forget(queryset.values_list("pk", flat=True))
        self.message_user(
            request, f"{count} forgotten, with their subscriptions and mails.", messages.SUCCESS
        )

    def has_forget_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "delete", None)
