"""The administrator's pages for policies and routing, and the view of their runs."""

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from openalert.admin_tools import ModelAdmin, RecordAdmin, TabularInline
from openalert.words import delay_in_words
from teams.admin import TeamAdmin

from . import team_settings
from .admin_preview import PolicyActions
from .admin_rules import RoutingRuleForm, RuleInline
from .admin_steps import StepInline
from .models import (
    EscalationPolicy,
    EscalationRun,
    EscalationStep,
    PagingSettings,
    RoutingRule,
    StepTarget,
)


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(PolicyActions, ModelAdmin):
    list_display = ("name", "team", "in_words", "repeat_count", "rule_count")
    list_filter = ("team",)
    list_select_related = ("team",)
    search_fields = ("name", "description", "team__name")
    autocomplete_fields = ("team",)
    inlines = (StepInline,)

    def get_readonly_fields(
        self, request: HttpRequest, obj: EscalationPolicy | None = None
    ) -> tuple[str, ...]:
        # Its steps page the team's people, and the team's rules lead to it.
        return ("team",) if obj else ()

    def response_add(
        self, request: HttpRequest, obj: EscalationPolicy, post_url_continue: str | None = None
    ) -> HttpResponse:
        if "_popup" in request.POST or "_addanother" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, f"{obj} is saved. Add its steps: without one, nobody is paged.")
        return redirect("admin:escalations_escalationpolicy_change", obj.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationPolicy]:
        return (
            super()
            .get_queryset(request)
            .prefetch_related(
                "steps__targets__user", "steps__targets__schedule", "steps__targets__team", "routing_rules"
            )
        )

    @admin.display(description="steps")
    def in_words(self, policy: EscalationPolicy) -> str:
        steps = (
            f"{', '.join(map(str, step.targets.all())) or 'nobody'} ({delay_in_words(step.delay)})"
            for step in policy.steps.all()
        )
        return " → ".join(steps) or "no steps"

    @admin.display(description="rules")
    def rule_count(self, policy: EscalationPolicy) -> int:
        return len(policy.routing_rules.all())


class TargetInline(TabularInline):
    model = StepTarget
    extra = 1
    autocomplete_fields = ("user", "schedule", "team")


@admin.register(EscalationStep)
class EscalationStepAdmin(ModelAdmin):
    list_display = ("__str__", "delay_seconds", "whom")
    list_filter = ("policy__team", "policy")
    list_select_related = ("policy",)
    search_fields = ("policy__name",)
    autocomplete_fields = ("policy",)
    inlines = (TargetInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationStep]:
        return (
            super()
            .get_queryset(request)
            .prefetch_related("targets__user", "targets__schedule", "targets__team")
        )

    @admin.display(description="pages")
    def whom(self, step: EscalationStep) -> str:
        return ", ".join(map(str, step.targets.all())) or "nobody"


@admin.register(RoutingRule)
class RoutingRuleAdmin(ModelAdmin):
    form = RoutingRuleForm
    list_display = ("team", "position", "conditions_in_words", "policy")
    list_display_links = ("position",)
    list_filter = ("team", "policy")
    list_select_related = ("team", "service", "policy")
    search_fields = ("team__name", "service__name", "policy__name")
    autocomplete_fields = ("team", "service", "policy")

    def get_readonly_fields(self, request: HttpRequest, obj: RoutingRule | None = None) -> tuple[str, ...]:
        return ("team",) if obj else ()

    def save_model(self, request: HttpRequest, obj: RoutingRule, form: RoutingRuleForm, change: bool) -> None:
        form.write()


# A team's page shows its rules, which are this app's.
TeamAdmin.inlines = (*TeamAdmin.inlines, RuleInline)


@admin.register(PagingSettings)
class PagingSettingsAdmin(ModelAdmin):
    list_display = ("team", "default_policy", "low_urgency_waits")
    list_filter = ("low_urgency_waits",)
    list_select_related = ("team", "default_policy")
    search_fields = ("team__name",)
    autocomplete_fields = ("team", "default_policy")

    def save_model(
        self, request: HttpRequest, obj: PagingSettings, form: forms.ModelForm, change: bool
    ) -> None:
        team_settings.write(obj)


@admin.register(EscalationRun)
class EscalationRunAdmin(RecordAdmin):
    list_display = (
        "incident",
        "policy_name",
        "status",
        "loop",
        "step",
        "due_at",
        "waits_for",
        "ended_at",
        "end_reason",
    )
    list_filter = ("status", "waits_for", "end_reason", "policy", "created_at")
    list_select_related = ("incident",)
    search_fields = ("=incident__number", "incident__title", "policy__name")

    @admin.display(description="policy", ordering="policy__name")
    def policy_name(self, run: EscalationRun) -> str:
        return run.snapshot["policy"]
