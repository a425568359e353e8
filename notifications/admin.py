"""The administrator's pages for how people are reached, and the view of what was sent."""

from django.contrib import admin

from openalert.admin_tools import RecordAdmin, RecordInline

from .models import (
    ContactMethod,
    DeliveryAttempt,
    MailboxMessage,
    Notification,
    NotificationRule,
    OperationsTeam,
    ProviderAccount,
    QuietHours,
)


class RuleInline(admin.TabularInline):
    model = NotificationRule
    extra = 0
    fields = ("user", "urgency", "delay_minutes")
    autocomplete_fields = ("user",)


@admin.register(ContactMethod)
class ContactMethodAdmin(admin.ModelAdmin):
    list_display = ("user", "channel", "address", "label", "is_enabled", "broken_at")
    list_filter = ("channel", "is_enabled", ("broken_at", admin.EmptyFieldListFilter), "user__teams")
    readonly_fields = ("broken_at", "broken_reason")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email", "address", "label")
    autocomplete_fields = ("user",)
    inlines = (RuleInline,)


@admin.register(NotificationRule)
class NotificationRuleAdmin(admin.ModelAdmin):
    list_display = ("user", "urgency", "contact_method", "delay_minutes")
    list_filter = ("urgency", "contact_method__channel")
    list_select_related = ("user", "contact_method")
    search_fields = ("user__name", "user__email", "contact_method__address")
    autocomplete_fields = ("user", "contact_method")


@admin.register(QuietHours)
class QuietHoursAdmin(admin.ModelAdmin):
    list_display = ("user", "__str__")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    autocomplete_fields = ("user", "allowed_methods")


@admin.register(OperationsTeam)
class OperationsTeamAdmin(admin.ModelAdmin):
    """Without any, superusers are told of dead letters."""

    list_display = ("team",)
    list_select_related = ("team",)
    autocomplete_fields = ("team",)


@admin.register(ProviderAccount)
class ProviderAccountAdmin(RecordAdmin):
    list_display = ("name", "paused_until", "open_until", "failures", "last_failed_at", "last_error")


class AttemptInline(RecordInline):
    model = DeliveryAttempt
    fields = (
        "number",
        "status",
        "started_at",
        "finished_at",
        "error",
        "is_permanent",
        "request_id",
        "provider_id",
    )


@admin.register(Notification)
class NotificationAdmin(RecordAdmin):
    list_display = (
        "created_at",
        "user",
        "channel",
        "address",
        "status",
        "hold",
        "incident",
        "attempt_count",
        "sent_at",
        "last_error",
    )
    list_filter = ("status", "hold", "channel", "purpose", "created_at")
    list_select_related = ("user", "incident")
    search_fields = ("user__name", "user__email", "address", "=incident__number", "incident__title")
    show_full_result_count = False
    inlines = (AttemptInline,)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(RecordAdmin):
    list_display = ("started_at", "notification", "number", "status", "latency", "error", "provider_id")
    list_filter = ("status", "is_permanent", "notification__channel", "started_at")
    list_select_related = ("notification__user",)
    search_fields = ("notification__user__name", "error", "=provider_id")
    show_full_result_count = False

    @admin.display(description="took")
    def latency(self, attempt: DeliveryAttempt) -> str:
        return "" if attempt.latency_seconds is None else f"{attempt.latency_seconds:.3f} s"


@admin.register(MailboxMessage)
class MailboxMessageAdmin(RecordAdmin):
    list_display = ("created_at", "recipient", "subject")
    list_filter = ("created_at",)
    search_fields = ("recipient", "subject")
