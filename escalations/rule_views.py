"""Pages about routing: a team's rules and what it has decided; and the preview of a service. Managers change them."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from incidents.enums import Severity
from openalert.answers import refused
from openalert.exceptions import OpenAlertError
from teams.access import require_manage
from teams.models import Service, Team

from . import routing, team_settings
from .models import RoutingRule
from .preview import preview
from .rule_forms import PreviewForm, RuleForm, SettingsForm
from .words import who_is_in_charge


@login_required
@require_http_methods(["GET", "POST"])
def rule_new(request: HttpRequest, team: UUID) -> HttpResponse:
    return _rule_form(request, get_object_or_404(Team.objects.visible_to(request.user), pk=team), None)


@login_required
@require_http_methods(["GET", "POST"])
def rule_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    rule = _rule(request, pk)
    return _rule_form(request, rule.team, rule)


def _rule_form(request: HttpRequest, team: Team, rule: RoutingRule | None) -> HttpResponse:
    try:
        require_manage(request.user, team)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("escalation"))
    form = RuleForm(request.POST or None, team=team, rule=rule)
    if form.is_valid():
        routing.save_rule(form.rule)
        messages.success(request, "The routing rule is saved")
        return redirect("escalation")
    context = {"form": form, "rule": rule, "team": team}
    return render(request, "escalations/rule_form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def rule_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    rule = _rule(request, pk)
    try:
        require_manage(request.user, rule.team)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("escalation"))
    rule.delete()
    messages.success(request, "The routing rule is removed")
    return redirect("escalation")


@login_required
@require_POST
def rule_move(request: HttpRequest, pk: UUID) -> HttpResponse:
    """`by` is “up” or “down”; at the ends it stays."""
    rule = _rule(request, pk)
    try:
        require_manage(request.user, rule.team)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("escalation"))
    routing.move(rule_id=pk, by=-1 if request.POST.get("by") == "up" else 1)
    return redirect("escalation")


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, team: UUID) -> HttpResponse:
    owner = get_object_or_404(Team.objects.visible_to(request.user), pk=team)
    try:
        require_manage(request.user, owner)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("escalation"))
    form = SettingsForm(request.POST or None, settings=team_settings.of_team(owner))
    if form.is_valid():
        team_settings.write(form.settings)
        messages.success(request, f"The paging of {owner} is saved")
        return redirect("escalation")
    context = {"form": form, "team": owner}
    return render(request, "escalations/settings.html", context, status=422 if form.errors else 200)


@login_required
@require_GET
def service_preview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Who would be paged, how and when, if an alert fired for the service at an instant."""
    service = get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)
    asked = request.GET or {"severity": Severity.CRITICAL}
    form = PreviewForm(asked)
    found = None
    if form.is_valid():
        given = form.cleaned_data
        found = preview(
            service=service,
            severity=Severity(given["severity"]),
            at=given["at"] or timezone.now(),
            labels=given["labels"],
        )
    context = {
        "service": service,
        "form": form,
        "found": found,
        "in_charge": who_is_in_charge(found) if found else "",
    }
    return render(request, "escalations/preview.html", context, status=422 if form.errors else 200)


def _rule(request: HttpRequest, pk: UUID) -> RoutingRule:
    return get_object_or_404(RoutingRule.objects.visible_to(request.user).select_related("team"), pk=pk)


urlpatterns = [
    path("escalation/rules/new/<uuid:team>/", rule_new, name="routing-rule-new"),
    path("escalation/rules/<uuid:pk>/", rule_edit, name="routing-rule"),
    path("escalation/rules/<uuid:pk>/remove/", rule_remove, name="routing-rule-remove"),
    path("escalation/rules/<uuid:pk>/move/", rule_move, name="routing-rule-move"),
    path("escalation/settings/<uuid:team>/", settings, name="paging-settings"),
    path("services/<uuid:pk>/preview/", service_preview, name="service-preview"),
]
