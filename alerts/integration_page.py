"""An integration's page: whether its alerts come in, what came in last, and how it is set up."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import refused
from openalert.exceptions import PermissionMissing
from teams.access import can_manage, require_manage

from . import integrations, samples
from .enums import Source
from .forms import IntegrationEditForm
from .models import Alert, Integration
from .samples import Sample
from .service_fragments import grouping_in_words, show_key
from .set_up import set_up_text

MOST_ALERTS = 20
# Of each payload, on the page; JSON becomes longer when it is laid out.
MOST_SHOWN = 40_000
LONGEST_BEGINNING = 200
# JSON that is nested deeper is shown as it came: laying it out could make megabytes of indentation.
DEEPEST = 24


class Payload(NamedTuple):
    """A sample as the page shows it, with its beginning in one line; `is_cut` when there was more."""

    sample: Sample
    beginning: str
    text: str
    is_cut: bool


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
    integration = _integration(request, pk)
    received = _received(integration)
    return render(
        request,
        "alerts/integration.html",
        {
            **received,
            "service": integration.service,
            "grouping": grouping_in_words(integration),
            "set_up": set_up_text(integration),
            "may_manage": can_manage(request.user, integration.service.team),
            "fields_address": _address("integration-fields", pk)
            if integration.source == Source.GENERIC
            else "",
            "rules_address": _address("integration-rules", pk),
        },
    )


@login_required
@never_cache
@require_GET
def integration_received(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What came in, for the page that shows it: nothing (204) when that is what it has `seen` already."""
    integration = _integration(request, pk)
    received = _received(integration)
    if request.GET.get("seen") == received["seen"]:
        return HttpResponse(status=204)
    return render(request, "alerts/_integration_received.html", received)


@login_required
@require_http_methods(["GET", "POST"])
def edit_integration(request: HttpRequest, pk: UUID) -> HttpResponse:
    integration = _integration(request, pk)
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
    integration = _integration(request, pk)
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
    integration = _integration(request, pk)
    try:
        require_manage(request.user, integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=reverse("integration", args=[pk]))
    if request.method == "POST":
        return show_key(request, integration, integrations.rotate_key(pk))
    template = "alerts/_integration_rotate.html" if request.htmx else "alerts/integration_rotate.html"
    return render(request, template, {"integration": integration})


@login_required
@require_http_methods(["GET", "POST"])
def delete_integration(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET asks, as a page or in a dialog; POST deletes."""
    integration = _integration(request, pk)
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


def _integration(request: HttpRequest, pk: UUID) -> Integration:
    found = Integration.objects.visible_to(request.user).select_related("service__team")
    return get_object_or_404(found, pk=pk)


def _received(integration: Integration) -> dict[str, Any]:
    recent = samples.recent(integration.pk)
    alerts = list(Alert.objects.newest_of(integration).select_related("incident")[:MOST_ALERTS])
    state = state_of(integration, recent, alerts)
    return {
        "integration": integration,
        "state": state,
        "payloads": [_payload(sample) for sample in recent],
        "alerts": alerts,
        "most_alerts": MOST_ALERTS,
        "seen": f"{state.name}-{state.at.timestamp() if state.at else 0}",
    }


def _payload(sample: Sample) -> Payload:
    raw = sample.body.decode("utf-8", "replace")
    text = _laid_out(sample.body) or raw
    beginning = " ".join(raw[:LONGEST_BEGINNING].split())
    return Payload(sample, beginning, text[:MOST_SHOWN], sample.is_cut or len(text) > MOST_SHOWN)


def _laid_out(body: bytes) -> str | None:
    """JSON with indentation, its numbers and the order of its keys as they were; None for what is none."""
    try:
        if not body or _is_deeper(msgspec.json.decode(body), DEEPEST):
            return None
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_deeper(value: Any, levels: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(children) and (not levels or any(_is_deeper(child, levels - 1) for child in children))


def _address(name: str, pk: UUID) -> str:
    try:
        return reverse(name, args=[pk])
    except NoReverseMatch:
        return ""


urlpatterns = [
    # Not under /integrations/, which is the intake's.
    path("services/integrations/<uuid:pk>/", integration_page, name="integration"),
    path("services/integrations/<uuid:pk>/received/", integration_received, name="integration-received"),
    path("services/integrations/<uuid:pk>/edit/", edit_integration, name="integration-edit"),
    path("services/integrations/<uuid:pk>/switch/", switch_integration, name="integration-switch"),
    path("services/integrations/<uuid:pk>/key/", rotate_key, name="integration-key"),
    path("services/integrations/<uuid:pk>/delete/", delete_integration, name="integration-delete"),
]
