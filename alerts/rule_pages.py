"""An integration's rules: the list in their order with what they would make of recent alerts, and a form for one."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import refused
from openalert.exceptions import PermissionMissing
from openalert.zones import time_zones
from teams.access import can_manage, require_manage
from teams.models import Service

from . import rulebook, rules
from .exceptions import InvalidRule
from .integration_page import integration_to_see
from .models import HeldAlert, Integration, IntegrationRule
from .rule_forms import BaseConditionFormSet, RuleForms, is_shown_whole
from .rule_words import hold_in_words, rule_in_words
from .trials import recent_alerts, suggested_fields, try_out, with_rule

MOST_HELD = 20


class Shown(NamedTuple):
    """A rule in words; `fault` instead when it cannot be read. `matched`: in how many recent alerts it had a say."""

    rule: IntegrationRule
    when: str
    then: str
    fault: str
    matched: int


@login_required
@require_GET
def integration_rules(request: HttpRequest, pk: UUID) -> HttpResponse:
    integration = integration_to_see(request, pk)
    context = {**_list(request, integration), **_held(integration)}
    return render(request, "alerts/integration_rules.html", context)


@login_required
@never_cache
@require_GET
def held_alerts(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What is held now, for the page that shows it."""
    integration = integration_to_see(request, pk)
    return render(request, "alerts/_held.html", {"integration": integration, **_held(integration)})


@login_required
@require_http_methods(["GET", "POST"])
def new_rule(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _rule_form(request, integration_to_see(request, pk), None)


@login_required
@require_http_methods(["GET", "POST"])
def edit_rule(request: HttpRequest, pk: UUID, rule_id: UUID) -> HttpResponse:
    integration = integration_to_see(request, pk)
    return _rule_form(request, integration, _rule(integration, rule_id))


@login_required
@require_POST
def try_rule(request: HttpRequest, pk: UUID, rule_id: UUID | None = None) -> HttpResponse:
    """What the rules would do if one of them, or a new one, were as it is filled in. Nothing is changed."""
    integration = integration_to_see(request, pk)
    rule = _rule(integration, rule_id) if rule_id else None
    forms = RuleForms.sent(integration, request.POST)
    form, conditions = forms.form, forms.conditions
    form.fields["name"].required = False  # it can wait
    if not forms.is_begun:
        return render(request, "alerts/_rule_tried.html", {"is_new": True})
    if not forms.is_valid():
        context = {"integration": integration, "faults": _faults(form, conditions)}
        return render(request, "alerts/_rule_tried.html", context)
    candidate = IntegrationRule(
        integration=integration,
        name=form.cleaned_data["name"] or "This rule",
        conditions=conditions.conditions,
        actions=form.actions,
    )
    if rule:
        candidate.pk = rule.pk
    trial = try_out(integration, with_rule(_rules(integration), candidate), only=candidate.pk)
    context = {"trial": trial, "is_on": form.cleaned_data["is_enabled"], **_words(integration, candidate)}
    return render(request, "alerts/_rule_tried.html", context)


@login_required
@require_POST
def move_rule(request: HttpRequest, pk: UUID, rule_id: UUID) -> HttpResponse:
    """A place up with `by` = -1, a place down with 1."""
    return _change(request, pk, rule_id, by=-1 if request.POST.get("by") == "-1" else 1)


@login_required
@require_POST
def switch_rule(request: HttpRequest, pk: UUID, rule_id: UUID) -> HttpResponse:
    """On with `on` = 1, off with 0."""
    return _change(request, pk, rule_id, is_enabled=request.POST.get("on") == "1")


@login_required
@require_http_methods(["GET", "POST"])
def remove_rule(request: HttpRequest, pk: UUID, rule_id: UUID) -> HttpResponse:
    """GET asks, as a page or in a dialog; POST removes."""
    integration = integration_to_see(request, pk)
    rule = _rule(integration, rule_id)
    to = reverse("integration-rules", args=[pk])
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    if request.method == "POST":
        rulebook.remove(rule.pk)
        messages.success(request, f"The rule {rule} is removed")
        return redirect(to)
    template = "alerts/_rule_remove.html" if request.htmx else "alerts/rule_remove.html"
    return render(request, template, {"integration": integration, "rule": rule})


def _change(request: HttpRequest, pk: UUID, rule_id: UUID, *, by: int = 0, **changes: Any) -> HttpResponse:
    """Answers with the list as it is then."""
    integration = integration_to_see(request, pk)
    rule = _rule(integration, rule_id)
    to = reverse("integration-rules", args=[pk])
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    try:
        if by:
            rulebook.move(rule.pk, by=by)
        else:
            rulebook.edit(rule.pk, **changes)
    except IntegrationRule.DoesNotExist as gone:
        raise Http404 from gone
    except ValidationError as fault:  # it can no longer be read
        return refused(request, InvalidRule(" ".join(fault.messages)), to=to)
    if not request.htmx:
        return redirect(to)
    return render(request, "alerts/_rules.html", _list(request, integration))


def _rule_form(request: HttpRequest, integration: Integration, rule: IntegrationRule | None) -> HttpResponse:
    to = reverse("integration-rules", args=[integration.pk])
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    if request.method == "POST":
        forms = RuleForms.sent(integration, request.POST)
        if forms.form.is_bound and forms.is_valid() and (saved := forms.save(integration, rule)):
            messages.success(request, f"The rule {saved} is saved: it counts for the next alert")
            return redirect(to)
    else:
        forms = RuleForms.of(integration, rule)
    context = {
        "integration": integration,
        "service": integration.service,
        "rule": rule,
        "form": forms.form,
        "conditions": forms.conditions,
        "is_shown_whole": rule is None or request.method == "POST" or is_shown_whole(rule),
        "fields": suggested_fields(recent_alerts(integration)),
        "time_zones": time_zones(),
        "most_conditions": rules.MOST_CONDITIONS,
    }
    return render(request, "alerts/rule_form.html", context, status=422 if forms.is_faulty else 200)


def _faults(form: Form, conditions: BaseConditionFormSet) -> list[str]:
    """What is missing or wrong, each with the name of its place."""
    found = [f"{_label(form, name)}: {error}" for name, errors in form.errors.items() for error in errors]
    for number, row in enumerate(conditions.forms, 1):
        found += [
            f"Condition {number}, {_label(row, name)}: {error}"
            for name, errors in row.errors.items()
            for error in errors
        ]
    return found + [str(error) for error in conditions.non_form_errors()]


def _label(form: Form, name: str) -> str:
    return str(form.fields[name].label).lower() if name in form.fields else "together"


def _rule(integration: Integration, rule_id: UUID) -> IntegrationRule:
    found = integration.rules.select_related("integration__service__team")
    return get_object_or_404(found, pk=rule_id)


def _rules(integration: Integration) -> Sequence[IntegrationRule]:
    return list(integration.rules.select_related("to_service").order_by("position"))


def _list(request: HttpRequest, integration: Integration) -> dict[str, Any]:
    found = _rules(integration)
    trial = try_out(integration, found)
    shown = [Shown(rule=rule, matched=trial.by_rule[rule.pk], **_words(integration, rule)) for rule in found]
    return {
        "integration": integration,
        "service": integration.service,
        "shown": shown,
        "trial": trial,
        "most_rules": rulebook.MOST_RULES,
        "may_manage": can_manage(request.user, integration.service.team),
    }


def _words(integration: Integration, rule: IntegrationRule) -> dict[str, str]:
    try:
        conditions, actions = rules.read_conditions(rule.conditions), rules.read_actions(rule.actions)
    except InvalidRule as fault:
        return {"when": "", "then": "", "fault": f"{fault.field}: {fault.detail}"}
    when, then = rule_in_words(conditions, actions, _services_named(integration, rule, actions))
    return {"when": when, "then": then, "fault": ""}


def _services_named(
    integration: Integration, rule: IntegrationRule, actions: Sequence[rules.AnyAction]
) -> dict[UUID, str]:
    """What a rule that is not saved names has to be looked up."""
    named = next((action.service for action in actions if isinstance(action, rules.SetService)), None)
    if named is None:
        return {}
    if rule.to_service_id == named and rule.to_service:
        return {named: rule.to_service.name}
    team_id = integration.service.team_id
    return dict(Service.objects.filter(pk=named, team=team_id).values_list("pk", "name"))


def _held(integration: Integration) -> dict[str, Any]:
    found = list(
        HeldAlert.objects.filter(integration=integration)
        .select_related("integration__service", "to_service")
        .order_by("-last_fired_at")[: MOST_HELD + 1]
    )
    held = [(alert, hold_in_words(alert.wait, alert.times, alert.within)) for alert in found[:MOST_HELD]]
    return {"held": held, "are_more_held": len(found) > MOST_HELD, "most_held": MOST_HELD}


BASE = "services/integrations/<uuid:pk>/rules/"

urlpatterns = [
    path(BASE, integration_rules, name="integration-rules"),
    path(f"{BASE}held/", held_alerts, name="integration-held"),
    path(f"{BASE}new/", new_rule, name="rule-new"),
    path(f"{BASE}try/", try_rule, name="rule-new-try"),
    path(f"{BASE}<uuid:rule_id>/", edit_rule, name="rule-edit"),
    path(f"{BASE}<uuid:rule_id>/try/", try_rule, name="rule-try"),
    path(f"{BASE}<uuid:rule_id>/move/", move_rule, name="rule-move"),
    path(f"{BASE}<uuid:rule_id>/switch/", switch_rule, name="rule-switch"),
    path(f"{BASE}<uuid:rule_id>/remove/", remove_rule, name="rule-remove"),
]
