"""The administrator's pages for integrations, and the view of their alerts."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from openalert import audit
from openalert.admin_tools import ModelAdmin, RecordAdmin

from . import heartbeats, integrations, maintenance, maintenance_labels
from .admin_actions import IntegrationActions
from .admin_rules import RuleInline
from .exceptions import InvalidRule, NotTheTeamsServices, WindowEndsBeforeStart
from .models import Alert, Change, Heartbeat, Integration, MaintenanceWindow


@admin.register(Integration)
class IntegrationAdmin(IntegrationActions, ModelAdmin):
    list_display = ("name", "service", "team", "source", "grouping", "is_enabled", "key", "has_alerts")
    list_filter = ("service__team", "source", "is_enabled", "grouping")
    list_per_page = 25  # each has more columns and actions than others
    list_select_related = ("service__team",)
    search_fields = ("name", "service__name", "=key_hint")
    autocomplete_fields = ("service",)
    readonly_fields = ("key", "created_at", "updated_at")
    actions = ("enable", "disable")
    inlines = (RuleInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Integration]:
        sent = Exists(Alert.objects.newest_of(OuterRef("pk")))
        return super().get_queryset(request).annotate(sent=sent)

    @admin.display(ordering="service__team__name")
    def team(self, integration: Integration) -> str:
        return str(integration.service.team)

    @admin.display(description="key")
    def key(self, integration: Integration) -> str:
        return f"…{integration.key_hint}" if integration.key_hint else "made when it is saved, and shown once"

    @admin.display(description="has sent", boolean=True)
    def has_alerts(self, integration: Integration) -> bool:
        return integration.sent

    def save_model(self, request: HttpRequest, obj: Integration, form: forms.ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        self.show_key(request, obj, integrations.create_integration(obj))

    @admin.action(description="Switch on", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Integration]) -> None:
        audit.update(queryset, is_enabled=True)

    @admin.action(description="Switch off: refuse their alerts", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Integration]) -> None:
        audit.update(queryset, is_enabled=False)


@admin.register(Alert)
class AlertAdmin(RecordAdmin):
    list_display = (
        "title",
        "status",
        "severity",
        "count",
        "source",
        "integration",
        "incident",
        "first_fired_at",
        "last_fired_at",
    )
    list_filter = ("status", "severity", "integration__service__team", "integration", "first_fired_at")
    list_select_related = ("integration", "incident")
    search_fields = ("title", "=dedup_key")


@admin.register(Change)
class ChangeAdmin(RecordAdmin):
    list_display = ("summary", "source", "integration", "service", "at")
    list_filter = ("integration__service__team", "integration", "at")
    list_select_related = ("integration__service",)
    search_fields = ("summary", "source")

    @admin.display(ordering="integration__service__name")
    def service(self, change: Change) -> str:
        return str(change.integration.service)


@admin.register(Heartbeat)
class HeartbeatAdmin(ModelAdmin):
    list_display = ("name", "integration", "span", "is_enabled", "last_ping_at", "due_at", "expired_at")
    list_filter = ("is_enabled", "integration__service__team", "integration")
    list_select_related = ("integration",)
    search_fields = ("name", "description")
    autocomplete_fields = ("integration",)
    readonly_fields = ("last_ping_at", "due_at", "expired_at")
    actions = None

    def save_model(self, request: HttpRequest, obj: Heartbeat, form: forms.ModelForm, change: bool) -> None:
        heartbeats.configure(obj)

    def delete_model(self, request: HttpRequest, obj: Heartbeat) -> None:
        heartbeats.delete(obj.pk)


class MaintenanceForm(forms.ModelForm):
    """The window's heart writes it: paging that waits has to hear of a change."""

    class Meta:
        model = MaintenanceWindow
        fields = ("team", "title", "services", "conditions", "mode", "starts_at", "ends_at")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        team = cleaned.get("team")
        if team and any(service.team_id != team.pk for service in cleaned.get("services", ())):
            self.add_error("services", NotTheTeamsServices.detail)
        try:
            maintenance_labels.read(cleaned.get("conditions") or [])
        except InvalidRule as fault:
            self.add_error("conditions", f"{fault.field}: {fault.detail}")
        starts_at, ends_at = cleaned.get("starts_at"), cleaned.get("ends_at")
        if starts_at and ends_at and ends_at <= starts_at:
            self.add_error("ends_at", WindowEndsBeforeStart.detail)
        elif ends_at and ends_at <= timezone.now():
            self.add_error("ends_at", "It would be over already.")
        return cleaned


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(ModelAdmin):
    form = MaintenanceForm
    list_display = ("title", "team", "about", "mode", "starts_at", "ends_at", "created_by")
    list_filter = ("team", "starts_at")
    list_select_related = ("team", "created_by")
    search_fields = ("title", "team__name", "services__name")
    autocomplete_fields = ("team", "services")
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[MaintenanceWindow]:
        return super().get_queryset(request).prefetch_related("services")

    def get_readonly_fields(self, request: HttpRequest, obj: MaintenanceWindow | None = None) -> tuple:
        return ("team",) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: MaintenanceWindow | None = None) -> bool:
        is_over = obj is not None and obj.ends_at <= timezone.now()
        return not is_over and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: MaintenanceWindow | None = None) -> bool:
        is_over = obj is not None and obj.ends_at <= timezone.now()
        return not is_over and super().has_delete_permission(request, obj)

    @admin.display(description="services")
    def about(self, window: MaintenanceWindow) -> str:
        about = ", ".join(map(str, window.services.all())) or "all of the team's"
        return " where ".join(filter(None, (about, " and ".join(window.conditions_in_words))))

    def save_model(
        self, request: HttpRequest, obj: MaintenanceWindow, form: forms.ModelForm, change: bool
    ) -> None:
        names = ("title", "starts_at", "ends_at", "services", "mode")
        given = {name: form.cleaned_data[name] for name in names}
        given["conditions"] = form.cleaned_data["conditions"] or []
        if change:
            maintenance.change_window(obj.pk, **given)
        else:
            obj.pk = maintenance.add_window(team=form.cleaned_data["team"], **given, by=request.user).pk

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: list, change: bool) -> None:
        """The services are written with the window."""

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        maintenance.cancel_window(obj.pk)
