"""An integration's page: whether its alerts come in, what came in last, and how it is set up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import refused
from openalert.exceptions import OpenAlertError, PermissionMissing
from teams.access import can_manage, require_manage

from . import integrations, samples
from .enums import Source
from .fields import picked_in_words
from .forms import IntegrationEditForm
from .models import Alert, Integration
from .samples import Sample
from .service_fragments import grouping_in_words, show_key
from .set_up import set_up_text
from .shown_payloads import payload_of

MOST_ALERTS = 20


class State(NamedTuple):
    """How an integration fares.

    `name`: `off`, `waiting` (nothing has come), `rotated` (nothing since the key is a new one), `refused` (the last
    that came) or `receiving`. `at` is when the last alert or payload came.
    """

    name: str
    at: datetime | None

    @property
    def is_awaited(self) -> bool:
        """Somebody may be setting it up right now."""
        return self.name in ("waiting", "rotated", "refused")


def state_of(integration: Integration, recent: Sequence[Sample], alerts: Sequence[Alert]) -> State:
    """From its recent samples and alerts, the newest first."""
    seen = [sample.at for sample in recent[:1]] + [alert.last_fired_at for alert in alerts]
    at = max(seen, default=None)
    if not integration.is_enabled:
        return State("off", at)
    if at is None:
        return State("waiting", None)
    if integration.key_rotated_at and at < integration.key_rotated_at:
        return State("rotated", at)
    if recent and recent[0].refusal:
        return State("refused", recent[0].at)
    return State("receiving", at)


@login_required
@require_GET
def integration_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    integration = integration_to_see(request, pk)
    received = received_of(integration)
    return render(
        request,
        "alerts/integration.html",
        {
            **received,
            "service": integration.service,
            "grouping": grouping_in_words(integration),
            "set_up": set_up_text(integration),
            "may_manage": can_manage(request.user, integration.service.team),
            "has_fields": integration.source == Source.GENERIC,
            "picked": picked_in_words(integration.settings),
            **_counts(integration),
        },
    )


@login_required
@never_cache
@require_GET
def integration_received(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What came in, for the page that shows it: nothing (204) when that is what it has `seen` already."""
    integration = integration_to_see(request, pk)
    received = received_of(integration)
    if request.GET.get("seen") == received["seen"]:
        return HttpResponse(status=204)
    return render(request, "alerts/_integration_received.html", received)


@login_required
@require_http_methods(["GET", "POST"])
def edit_integration(request: HttpRequest, pk: UUID) -> HttpResponse:
    integration = integration_to_see(request, pk)
    to = reverse("integration", args=[pk])
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    name = integration.name  # the form writes into its instance
    form = IntegrationEditForm(request.POST or None, integration=integration)
    if request.method == "POST" and form.is_valid():
        changed = integrations.change_integration(pk, settings=form.settings, **form.changes)
        messages.success(request, f"{changed} is saved")
        return redirect(to)
    return render(
        request,
        "alerts/integration_edit.html",
        {"integration": integration, "name": name, "service": integration.service, "form": form},
        status=422 if form.errors else 200,
    )


@login_required
@require_POST
def switch_integration(request: HttpRequest, pk: UUID) -> HttpResponse:
    """On with `on` = 1, off with 0."""
    integration = integration_to_see(request, pk)
    to = reverse("integration", args=[pk])
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    is_enabled = request.POST.get("on") == "1"
    integrations.change_integration(pk, is_enabled=is_enabled)
    messages.success(request, f"{integration} is switched {'on' if is_enabled else 'off'}")
    return redirect(to)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def rotate_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET asks, as a page or in a dialog; POST gives it a new key and shows it once."""
    integration = integration_to_see(request, pk)
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=reverse("integration", args=[pk]))
    if request.method == "POST":
        given = request.POST.get("overlap", "0")
        hours = next((hours for hours in integrations.OVERLAPS if str(hours) == given), None)
        if hours is None:
            wrong = OpenAlertError("Choose how long the old key works on.", field="overlap")
            return refused(request, wrong, to=reverse("integration", args=[pk]))
        key = integrations.rotate_key(pk, overlap=timedelta(hours=hours))
        integration.refresh_from_db(fields=integrations.KEY_FIELDS)
        return show_key(request, integration, key)
    template = "alerts/_integration_rotate.html" if request.htmx else "alerts/integration_rotate.html"
    return render(request, template, {"integration": integration, "overlaps": integrations.OVERLAPS})


@login_required
@require_POST
def end_old_key(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Everybody sends with the new key already, or the old one leaked."""
    integration = integration_to_see(request, pk)
    to = reverse("integration", args=[pk])
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    integrations.end_old_key(pk)
    messages.success(request, "The old key is void")
    return redirect(to)


@login_required
@require_http_methods(["GET", "POST"])
def delete_integration(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET asks, as a page or in a dialog; POST deletes."""
    integration = integration_to_see(request, pk)
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=reverse("integration", args=[pk]))
    if request.method == "POST":
        integrations.delete_integration(pk)
        messages.success(request, f"{integration} is deleted")
        return redirect("service", integration.service_id)
    template = "alerts/_integration_delete.html" if request.htmx else "alerts/integration_delete.html"
    return render(request, template, {"integration": integration})


def integration_to_see(request: HttpRequest, pk: UUID) -> Integration:
    found = Integration.objects.visible_to(request.user).select_related("service__team")
    return get_object_or_404(found, pk=pk)


def _counts(integration: Integration) -> dict[str, Any]:
    """Of its rules, and whether they hold anything now."""
    counted = integration.rules.aggregate(
        rules=Count("pk"), rules_off=Count("pk", filter=Q(is_enabled=False))
    )
    return counted | {"is_holding": integration.held_alerts.exists()}


def received_of(integration: Integration) -> dict[str, Any]:
    """What came in last and whether more is awaited, for alerts/_integration_received.html."""
    recent = samples.recent(integration.pk)
    alerts = list(Alert.objects.newest_of(integration).select_related("incident")[:MOST_ALERTS])
    state = state_of(integration, recent, alerts)
    return {
        "integration": integration,
        "state": state,
        "payloads": [payload_of(sample) for sample in recent],
        "alerts": alerts,
        "most_alerts": MOST_ALERTS,
        "seen": f"{state.name}-{state.at.timestamp() if state.at else 0}",
    }


urlpatterns = [
    # Not under /integrations/, which is the intake's.
    path("services/integrations/<uuid:pk>/", integration_page, name="integration"),
    path("services/integrations/<uuid:pk>/received/", integration_received, name="integration-received"),
    path("services/integrations/<uuid:pk>/edit/", edit_integration, name="integration-edit"),
    path("services/integrations/<uuid:pk>/switch/", switch_integration, name="integration-switch"),
    path("services/integrations/<uuid:pk>/key/", rotate_key, name="integration-key"),
    path("services/integrations/<uuid:pk>/old-key/end/", end_old_key, name="integration-old-key-end"),
    path("services/integrations/<uuid:pk>/delete/", delete_integration, name="integration-delete"),
]
