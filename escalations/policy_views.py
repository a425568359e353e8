"""Pages about escalation policies: all of a team's, one, its form. Members see them, managers change them."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import refused
from openalert.exceptions import OpenAlertError, PermissionMissing
from openalert.words import delay_in_words
from teams.access import can_manage, require_manage
from teams.models import Team

from . import policies, queries
from .models import EscalationPolicy, RoutingRule
from .policy_forms import PolicyForm, choices_for, forms_for, posted_steps, rearranged, steps_of
from .routing import with_steps


class PolicyInUse(OpenAlertError):
    code = "in_use"
    detail = "Routing rules use this policy, or it is the team’s default: change those first."
    status = 409


@login_required
@require_GET
def escalation(request: HttpRequest) -> HttpResponse:
    """Of each of the person's teams: its policies, its routing rules in order, and its default."""
    teams = list(Team.objects.visible_to(request.user).select_related("paging_settings__default_policy"))
    by_team: dict[UUID, dict[str, Any]] = {
        team.pk: {
            "team": team,
            "policies": [],
            "rules": [],
            "settings": getattr(team, "paging_settings", None),
        }
        for team in teams
    }
    for policy in with_steps(EscalationPolicy.objects.filter(team__in=teams)):
        by_team[policy.team_id]["policies"].append((policy, sorted_steps(policy)))
    rules = RoutingRule.objects.filter(team__in=teams).select_related("service", "policy")
    for rule in rules.order_by("position"):
        by_team[rule.team_id]["rules"].append(rule)
    managed = queries.managed_by(request.user, teams)
    for row in by_team.values():
        row["may_manage"] = row["team"].pk in managed
        row["leaves_nothing"] = any(rule.takes_everything for rule in row["rules"])
    return render(request, "escalations/escalation.html", {"rows": list(by_team.values())})


def sorted_steps(policy: EscalationPolicy) -> list[dict[str, Any]]:
    steps = sorted(policy.steps.all(), key=lambda step: step.position)
    return [
        {
            "number": number,
            "targets": list(step.targets.all()),
            "wait": f"then {delay_in_words(step.delay)}" if step.delay else "then at once",
        }
        for number, step in enumerate(steps, start=1)
    ]


@login_required
@require_GET
def policy_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One policy: whom it would reach now, and which rules use it."""
    policy = _policy(request, pk)
    context = {
        "policy": policy,
        "steps": queries.steps_now(policy, at=timezone.now()),
        "rules": policy.routing_rules.select_related("service", "policy", "team").order_by("position"),
        "is_default": policy.default_of.exists(),
        "may_manage": can_manage(request.user, policy.team),
    }
    return render(request, "escalations/policy.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def policy_new(request: HttpRequest, team: UUID) -> HttpResponse:
    owner = get_object_or_404(Team.objects.visible_to(request.user), pk=team)
    return _form(request, EscalationPolicy(team=owner), to=reverse("escalation"))


@login_required
@require_http_methods(["GET", "POST"])
def policy_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _form(request, _policy(request, pk), to=reverse("policy", args=[pk]))


def _form(request: HttpRequest, policy: EscalationPolicy, *, to: str) -> HttpResponse:
    """POST with `do` changes the steps of the form; without it, it saves."""
    try:
        require_manage(request.user, policy.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    known = None if policy._state.adding else policy
    groups = choices_for(policy.team, known)
    status, form = 200, PolicyForm(request.POST if request.method == "POST" else None, instance=policy)
    if request.method == "GET":
        steps = forms_for(steps_of(known), groups, is_bound=False)
    elif wish := request.POST.get("do"):
        form = PolicyForm(initial=request.POST.dict(), instance=policy)
        steps = forms_for(rearranged(posted_steps(request.POST), wish), groups, is_bound=False)
    else:
        steps = forms_for(posted_steps(request.POST), groups, is_bound=True)
        if not steps:
            form.add_error(None, "Add a step: without one, nobody is paged.")
        # All of them, so that every fault is shown at once.
        if all([form.is_valid(), *[step.is_valid() for step in steps]]):
            policies.save_policy(form.save(commit=False), steps=[step.step for step in steps])
            messages.success(request, f"{policy} is saved")
            return redirect("policy", policy.pk)
        status = 422
    context = {"form": form, "steps": steps, "policy": known, "team": policy.team, "back": to}
    return render(request, "escalations/policy_form.html", context, status=status)


@login_required
@require_POST
def policy_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    policy = _policy(request, pk)
    to = reverse("policy", args=[pk])
    try:
        require_manage(request.user, policy.team)
        try:
            policy.delete()
        except ProtectedError as error:
            raise PolicyInUse from error
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    messages.success(request, f"{policy} is removed")
    return redirect("escalation")


def _policy(request: HttpRequest, pk: UUID) -> EscalationPolicy:
    visible = EscalationPolicy.objects.visible_to(request.user).select_related("team")
    return get_object_or_404(with_steps(visible), pk=pk)


urlpatterns = [
    path("escalation/", escalation, name="escalation"),
    path("escalation/policies/new/<uuid:team>/", policy_new, name="policy-new"),
    path("escalation/policies/<uuid:pk>/", policy_page, name="policy"),
    path("escalation/policies/<uuid:pk>/edit/", policy_edit, name="policy-edit"),
    path("escalation/policies/<uuid:pk>/remove/", policy_remove, name="policy-remove"),
]
