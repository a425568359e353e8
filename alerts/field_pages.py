"""The fields of an integration for any JSON, edited beside what would come of the payloads that came last."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import refused
from openalert.exceptions import PermissionMissing
from teams.access import can_manage, require_manage

from . import integrations, samples
from .enums import Source
from .field_forms import FieldsForm, is_shown_whole
from .fields import as_stored, stored_fields
from .integration_page import integration_to_see
from .models import Integration
from .preview import preview_of_sample
from .samples import Sample
from .shown_payloads import beginning_of, payload_of, with_paths


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def integration_fields(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Whoever sees the integration may try; POST saves, for managers."""
    integration = _generic(request, pk)
    stored, fault = stored_fields(integration.settings)
    form = FieldsForm(stored=stored)
    if request.method == "POST":
        to = reverse("integration-fields", args=[pk])
        try:
            require_manage(request.user, integration.service.team)
        except PermissionMissing as failure:
            return refused(request, failure, to=to)
        form = FieldsForm(request.POST)
        if form.is_valid():
            integrations.change_integration(pk, settings={"fields": as_stored(form.picked)})
            messages.success(request, "The fields are saved: they count for the next alert")
            return redirect(to)
    context = {
        **_payload(request, integration),
        "service": integration.service,
        "form": form,
        "fault": fault,
        "is_shown_whole": form.is_bound or bool(fault) or is_shown_whole(stored),
        "may_manage": can_manage(request.user, integration.service.team),
    }
    return render(request, "alerts/integration_fields.html", context, status=422 if form.errors else 200)


@login_required
@never_cache
@require_GET
def fields_payload(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The payload that is chosen, as it came: nothing (204) when that is what the page has `seen` already."""
    context = _payload(request, _generic(request, pk))
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    response = render(request, "alerts/_fields_payload.html", context)
    response["HX-Trigger-After-Swap"] = "payload-shown"
    return response


@login_required
@require_POST
def fields_preview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What would come of the chosen payload with the fields as they are filled in. Nothing is changed."""
    integration = _generic(request, pk)
    form = FieldsForm(request.POST)
    chosen = _chosen(samples.recent(pk), request.POST.get("sample", ""))
    context = {
        "preview": preview_of_sample(integration, form.picked, chosen) if chosen else None,
        "faults": [
            (form.fields[name].label, error) for name, found in form.errors.items() for error in found
        ],
    }
    return render(request, "alerts/_fields_preview.html", context)


def _generic(request: HttpRequest, pk: UUID) -> Integration:
    integration = integration_to_see(request, pk)
    if integration.source != Source.GENERIC:
        raise Http404("Its source has a format of its own")
    return integration


def _chosen(recent: list[Sample], at: str) -> Sample | None:
    """The one that came at this instant, else the newest."""
    return next((sample for sample in recent if sample.at.isoformat() == at), recent[0] if recent else None)


def _payload(request: HttpRequest, integration: Integration) -> dict[str, Any]:
    recent = samples.recent(integration.pk)
    wanted = request.GET.get("sample", "")
    chosen = _chosen(recent, wanted)
    payload = payload_of(chosen) if chosen else None
    return {
        "integration": integration,
        "recent": [(sample.at.isoformat(), sample, beginning_of(sample)) for sample in recent],
        # Without a choice, what comes next is shown when it comes.
        "chosen": chosen.at.isoformat() if chosen and wanted else "",
        "payload": payload,
        "text": with_paths(payload) if payload else "",
        "seen": "/".join([chosen.at.isoformat(), recent[0].at.isoformat()]) if chosen else "",
    }


BASE = "services/integrations/<uuid:pk>/fields/"

urlpatterns = [
    path(BASE, integration_fields, name="integration-fields"),
    path(f"{BASE}payload/", fields_payload, name="fields-payload"),
    path(f"{BASE}preview/", fields_preview, name="fields-preview"),
]
