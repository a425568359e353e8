"""An integration's rules in the admin: put in order, switched and removed. What they say is written on their own page."""

from collections.abc import Sequence

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from openalert.admin_order import PLACE, OrderedForm, OrderedFormSet, OrderedInline

from . import rulebook
from .models import IntegrationRule


class RuleRowForm(OrderedForm):
    class Meta:
        model = IntegrationRule
        fields = ("position", "name", "is_enabled")

    def _post_clean(self) -> None:
        """A rule that can no longer be read may be moved and removed, and nothing else."""
        if not set(self.changed_data) - {PLACE}:
            return
        self.instance.name = self.cleaned_data.get("name", "")
        self.instance.is_enabled = self.cleaned_data["is_enabled"]
        try:
            self.instance.full_clean(exclude=rulebook.NOT_CHECKED, validate_constraints=False)
        except ValidationError as fault:
            self.add_error(None, fault.messages)


class RuleFormSet(OrderedFormSet):
    def write(self, staying: Sequence[RuleRowForm]) -> None:
        for rule in self.deleted_objects:
            rulebook.remove(rule.pk)
        for form in staying:
            if changed := set(form.changed_data) - {PLACE}:
                rulebook.edit(form.instance.pk, **{name: form.cleaned_data[name] for name in changed})
        rulebook.reorder(self.instance, self.whole_order(staying))


class RuleInline(OrderedInline):
    model = IntegrationRule
    form = RuleRowForm
    formset = RuleFormSet
    fields = ("position", "name", "is_enabled", "what")
    readonly_fields = ("what",)
    hide_title = True
    template_after = "admin/alerts/integration/after_rules.html"
    verbose_name_plural = "rules, tried in this order"

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    @admin.display(description="what it does")
    def what(self, rule: IntegrationRule) -> SafeString:
        page = reverse("rule-edit", args=[rule.integration_id, rule.pk])
        link = '<a href="{}" class="text-primary-600 underline dark:text-primary-500">See and change what {} does</a>'
        return format_html(link, page, rule)
