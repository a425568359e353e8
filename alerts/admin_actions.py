"""What administrators do to an integration besides editing it: give it another key, try it, add a rule."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget

from incidents.enums import Severity
from openalert.admin_ask import ask, page_about
from openalert.admin_tools import dress
from openalert.exceptions import OpenAlertError
from openalert.zones import time_zones

from . import integrations, rules, trial_alert
from .models import Integration
from .results import Outcome, Result
from .rule_forms import RuleForms
from .trials import recent_alerts, suggested_fields


class KeyForm(forms.Form):
    overlap = forms.TypedChoiceField(
        choices=list(integrations.OVERLAPS.items()),
        coerce=int,
        required=False,
        empty_value=0,
        label="The old key",
        widget=UnfoldAdminSelectWidget,
    )


class TrialForm(forms.Form):
    severity = forms.ChoiceField(
        choices=Severity.choices, initial=Severity.CRITICAL, widget=UnfoldAdminSelectWidget
    )


class IntegrationActions(ModelAdmin):
    """All ask by GET and act by POST."""

    actions_detail = ("fire_test_alert", "rotate_key", "add_rule")

    def show_key(self, request: HttpRequest, integration: Integration, key: str) -> None:
        text = "The key of {} is <code>{}</code>. Copy it now: it is not shown again."
        self.message_user(request, format_html(text, integration, key), messages.WARNING)

    @action(description="Rotate the key", url_path="rotate-key", permissions=["change"])
    def rotate_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give the integration a new key and show it once."""
        integration = self.get_object(request, object_id)
        if integration is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        form = KeyForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return ask(
                self,
                request,
                integration,
                title=f"Rotate the key of {integration}?",
                text=f"The present key ends in {integration.key_hint}. The new one is shown once.",
                form=form,
                button="Rotate the key",
            )
        key = integrations.rotate_key(integration.pk, overlap=timedelta(hours=form.cleaned_data["overlap"]))
        self.log_change(request, integration, "Rotated the key.")
        self.show_key(request, integration, key)
        return redirect("admin:alerts_integration_change", integration.pk)

    @action(description="Fire a test alert", url_path="test-alert", permissions=["change"])
    def fire_test_alert(self, request: HttpRequest, object_id: str) -> HttpResponse:
        integration = self.get_object(request, object_id)
        if integration is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        form = TrialForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return ask(
                self,
                request,
                integration,
                title=f"Fire a test alert of {integration}?",
                text=f"It is taken as any other: an incident of {integration.service} opens, and whoever is in "
                f"charge is paged.",
                form=form,
                button="Fire the test alert",
            )
        try:
            result = trial_alert.fire(
                integration.pk, severity=Severity(form.cleaned_data["severity"]), by=request.user
            )
        except OpenAlertError as failure:
            self.message_user(request, f"{integration}: {failure.detail}", messages.ERROR)
        else:
            self.log_change(request, integration, "Fired a test alert.")
            level = messages.SUCCESS if result.incident else messages.WARNING
            self.message_user(request, _told(result), level)
        return redirect("admin:alerts_integration_change", integration.pk)

    @action(description="Add a rule", url_path="add-rule", permissions=["change"])
    def add_rule(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """With the form and the checks of the integration's own page."""
        integration = self.get_object(request, object_id)
        if integration is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        is_sent = request.method == "POST"
        rule = RuleForms.sent(integration, request.POST) if is_sent else RuleForms.of(integration, None)
        if rule.form.is_bound and rule.is_valid() and (saved := rule.save(integration, None)):
            self.log_change(request, integration, f"Added the rule {saved}.")
            told = f"The rule {saved} is saved: it counts for the next alert, after the rules before it."
            self.message_user(request, told, messages.SUCCESS)
            return redirect("admin:alerts_integration_change", integration.pk)
        for form in (rule.form, *rule.conditions):
            dress(form.fields)
        response = page_about(
            self,
            request,
            integration,
            "admin/alerts/integration/rule.html",
            title=f"A new rule of {integration}",
            form=rule.form,
            conditions=rule.conditions,
            fields=suggested_fields(recent_alerts(integration)),
            time_zones=time_zones(),
            most_conditions=rules.MOST_CONDITIONS,
        )
        response.status_code = 422 if rule.is_faulty else 200
        return response


def _told(result: Result) -> SafeString | str:
    if result.outcome == Outcome.DROPPED:
        return "The integration’s rules drop the test alert: nobody is paged."
    if result.incident is None:
        return "The integration’s rules hold the test alert back: nobody is paged yet."
    became = {
        Outcome.OPENED: "The test alert has opened",
        Outcome.JOINED: "The test alert has joined",
        Outcome.REPEATED: "The test alert fires already, and was counted in",
    }.get(result.outcome, "The test alert fires again in")
    page = reverse("incident", args=[result.incident])
    return format_html('{} <a href="{}" class="underline">#{}</a>.', became, page, result.incident)
