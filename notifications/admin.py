"""The administrator's pages for how people are reached, and the view of what was sent."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urljoin

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from openalert.admin_tools import ModelAdmin, RecordAdmin, RecordInline, TabularInline, dress
from openalert.exceptions import OpenAlertError
from teams.access import teams_to_respond_for

from . import dead_letters, outbox, text_samples, webhooks
from .enums import WebhookEvent
from .forms import TextSampleForm
from .hooks import twilio
from .models import (
    ContactMethod,
    DeliveryAttempt,
    MailboxMessage,
    Notification,
    NotificationRule,
    OperationsTeam,
    ProviderAccount,
    QuietHours,
    Reply,
    SubscriberMail,
    Webhook,
    WebhookDelivery,
)


class RuleInline(TabularInline):
    model = NotificationRule
    extra = 0
    fields = ("user", "urgency", "delay_minutes")
    autocomplete_fields = ("user",)


@admin.register(ContactMethod)
class ContactMethodAdmin(ModelAdmin):
    list_display = ("user", "channel", "shown_address", "label", "is_enabled", "verified_at", "broken_at")
    list_filter = (
        "channel",
        "is_enabled",
        ("verified_at", admin.EmptyFieldListFilter),
        ("broken_at", admin.EmptyFieldListFilter),
        "user__teams",
    )
    readonly_fields = ("broken_at", "broken_reason")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email", "address", "label")
    autocomplete_fields = ("user",)
    inlines = (RuleInline,)
    actions = ("send_test",)
    list_before_template = "admin/notifications/contactmethod/before_list.html"

    @admin.display(ordering="address", description="address")
    def shown_address(self, method: ContactMethod) -> str:
        return method.shown_address

    @admin.action(description="Send a test page", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[ContactMethod]) -> None:
        """To the methods' owners, as they send one to themselves."""

        def send(method: ContactMethod) -> None:
            outbox.send_test(user=method.user, contact_method=method)

        _each(self, request, queryset.select_related("user"), send, "test pages are on their way")

    def get_urls(self) -> list[URLPattern]:
        texts = path("texts/", self.admin_site.admin_view(self.texts), name="notifications_texts")
        trial = path("texts/test/", self.admin_site.admin_view(self.try_way), name="notifications_texts_test")
        return [texts, trial, *super().get_urls()]

    def texts(self, request: HttpRequest) -> HttpResponse:
        """Which ways of paging are on, and what each would say of the incident that the form describes."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = TextSampleForm(request.GET or None)
        given = form.cleaned_data if form.is_valid() else TextSampleForm.DEFAULTS
        if not form.is_bound:
            form = TextSampleForm(initial=TextSampleForm.DEFAULTS)
        dress(form.fields)
        may_try = self.has_act_permission(request)
        own = list(self._own_methods(request)) if may_try else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Ways of paging, and what they say",
            "form": form,
            "ways": [
                (way, [method for method in own if method.channel == way.channel])
                for way in text_samples.ways()
            ],
            "may_try": may_try,
            "samples": text_samples.samples(user=request.user, **given),
            "webhook_addresses": [
                ("Twilio, incoming messages", twilio.sms_address()),
                ("SendGrid, event webhook", urljoin(settings.SITE_URL, reverse("sendgrid-events"))),
                ("Slack, interactivity", urljoin(settings.SITE_URL, reverse("slack-interaction"))),
            ],
        }
        return TemplateResponse(request, "admin/notifications/contactmethod/texts.html", context)

    def try_way(self, request: HttpRequest) -> HttpResponse:
        """Send a test page by one of the person's own methods: a provider's account is tried by what it is there for."""
        if not self.has_act_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        own = {str(method.pk): method for method in self._own_methods(request)}
        method = own.get(request.POST.get("method", ""))
        if method is None:
            self.message_user(request, "This contact method is not yours, or cannot be used.", messages.ERROR)
            return redirect("admin:notifications_texts")
        try:
            sent = outbox.send_test(user=request.user, contact_method=method)
        except OpenAlertError as failure:
            self.message_user(request, failure.detail, messages.ERROR)
        else:
            page = reverse("admin:notifications_notification_change", args=[sent.pk])
            told = '{}: a test page is on its way. <a href="{}" class="underline">See what becomes of it</a>.'
            self.message_user(request, format_html(told, method, page), messages.SUCCESS)
        return redirect("admin:notifications_texts")

    def _own_methods(self, request: HttpRequest) -> QuerySet[ContactMethod]:
        own = ContactMethod.objects.filter(user=request.user, is_enabled=True, verified_at__isnull=False)
        return own.order_by("created_at")


@admin.register(NotificationRule)
class NotificationRuleAdmin(ModelAdmin):
    list_display = ("user", "urgency", "contact_method", "delay_minutes")
    list_filter = ("urgency", "contact_method__channel")
    list_select_related = ("user", "contact_method")
    search_fields = ("user__name", "user__email", "contact_method__address")
    autocomplete_fields = ("user", "contact_method")


@admin.register(QuietHours)
class QuietHoursAdmin(ModelAdmin):
    list_display = ("user", "__str__")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    autocomplete_fields = ("user", "allowed_methods")


@admin.register(OperationsTeam)
class OperationsTeamAdmin(ModelAdmin):
    """Without any, superusers are told of dead letters."""

    list_display = ("team",)
    list_select_related = ("team",)
    autocomplete_fields = ("team",)


@admin.register(ProviderAccount)
class ProviderAccountAdmin(RecordAdmin):
    list_display = ("name", "paused_until", "open_until", "failures", "last_failed_at", "last_error")


@admin.register(SubscriberMail)
class SubscriberMailAdmin(RecordAdmin):
    list_display = ("created_at", "address", "status", "tries", "last_error", "sent_at")
    list_filter = ("status", "created_at")
    list_select_related = ("user", "stakeholder", "update")
    search_fields = ("address",)


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
        "receipt",
        "receipt_at",
        "receipt_detail",
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
    ordering = ("-pk",)  # in the order of time, as created_at, which has no index
    inlines = (AttemptInline,)
    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Which of them, dead_letters.replay decides."""
        return dead_letters.is_operator(request.user) or teams_to_respond_for(request.user).exists()

    @admin.action(description="Replay: send dead letters again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Notification]) -> None:
        """Only what is dead, and what the person may answer for: what was replayed a moment ago is dead no more."""
        chosen = list(queryset.values_list("pk", flat=True))
        count = dead_letters.replay(chosen, by=request.user)
        self.message_user(request, f"{count} dead letters are sent again.")
        if left := len(chosen) - count:
            words = f"{left} were left alone: they are no dead letters, or not yours to answer for."
            self.message_user(request, words, messages.WARNING)


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(RecordAdmin):
    list_display = (
        "started_at",
        "notification",
        "number",
        "status",
        "receipt",
        "latency",
        "error",
        "provider_id",
    )
    list_filter = ("status", "receipt", "is_permanent", "notification__channel", "started_at")
    list_select_related = ("notification__user",)
    search_fields = ("notification__user__name", "error", "=provider_id")

    @admin.display(description="took")
    def latency(self, attempt: DeliveryAttempt) -> str:
        return "" if attempt.latency_seconds is None else f"{attempt.latency_seconds:.3f} s"


@admin.register(MailboxMessage)
class MailboxMessageAdmin(RecordAdmin):
    list_display = ("created_at", "recipient", "subject")
    list_filter = ("created_at",)
    search_fields = ("recipient", "subject")


@admin.register(Reply)
class ReplyAdmin(RecordAdmin):
    list_display = ("created_at", "channel", "sender", "user", "text", "outcome", "incident", "answer")
    list_filter = ("outcome", "channel", "created_at")
    list_select_related = ("user", "incident")
    search_fields = ("sender", "user__name", "=incident__number")


class WebhookForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        choices=WebhookEvent.of_incidents(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Which events are told; none chosen: all.",
    )


@admin.register(Webhook)
class WebhookAdmin(ModelAdmin):
    form = WebhookForm
    list_display = (
        "name",
        "team",
        "shown_url",
        "format",
        "is_enabled",
        "failures",
        "rests_until",
        "disabled_reason",
    )
    list_filter = ("is_enabled", "format", "team")
    list_select_related = ("team",)
    search_fields = ("name", "team__name")
    autocomplete_fields = ("team",)
    readonly_fields = ("failures", "rests_until", "disabled_reason", "previous_secret_until")
    actions = ("rotate_secret", "send_test")

    def save_model(self, request: HttpRequest, obj: Webhook, form: forms.ModelForm, change: bool) -> None:
        if change:
            webhooks.change(obj.pk, **{name: form.cleaned_data[name] for name in form.changed_data})
        else:
            self._show(request, obj, webhooks.create(obj))

    def _show(self, request: HttpRequest, webhook: Webhook, secret: str) -> None:
        text = "The secret of {} is <code>{}</code>. Copy it now: it is not shown again."
        self.message_user(request, format_html(text, webhook, secret), messages.WARNING)

    @admin.action(description="Give new secrets; the old ones sign too for a day", permissions=["change"])
    def rotate_secret(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        for webhook in queryset:
            self._show(request, webhook, webhooks.rotate_secret(webhook.pk))

    @admin.action(description="Send a test event", permissions=["change"])
    def send_test(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        _each(self, request, queryset, webhooks.send_test, "test events are on their way")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(RecordAdmin):
    list_display = (
        "created_at",
        "webhook",
        "event",
        "incident",
        "status",
        "attempt_count",
        "response_status",
        "latency_seconds",
        "last_error",
    )
    list_filter = ("status", "event", "webhook__team", "created_at")
    list_select_related = ("webhook", "incident")
    search_fields = ("webhook__name", "=incident__number", "=event_id")
    actions = ("replay",)

    @admin.action(description="Send again", permissions=["act"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        _each(
            self,
            request,
            queryset.select_related("webhook"),
            webhooks.replay,
            "deliveries are on their way again",
        )


def _each(
    page: admin.ModelAdmin, request: HttpRequest, rows: Iterable[Any], action: Callable[[Any], Any], done: str
) -> None:
    """Do it for each of the rows, and tell how many it was and why others were not."""
    count = 0
    for row in rows:
        try:
            action(row)
            count += 1
        except OpenAlertError as failure:
            page.message_user(request, f"{row}: {failure.detail}", messages.ERROR)
    page.message_user(request, f"{count} {done}.")
