"""What every page's action on an incident shares: whose it is, one call, and the answer."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme

from openalert.error_shape import error, error_body, error_type
from openalert.exceptions import OpenAlertError
from teams.access import require_respond

from .models import Incident
from .timeline import Actor

CHANGED = "incident-changed"  # the regions of an incident's page listen for it


def incident_for(request: HttpRequest, number: int) -> Incident:
    """The incident that the person who asks may see; 404 otherwise."""
    incidents = Incident.objects.visible_to(request.user)
    return get_object_or_404(
        incidents.select_related("service__team", "assigned_to", "acknowledged_by", "resolved_by"), number=number
    )


def act(
    request: HttpRequest, number: int, action: Callable[..., Any], *, done: str, **arguments: Any
) -> HttpResponse:
    """Do `action(incident_id=…, actor=…, **arguments)` for the person, if they may, and say `done`.

    A failure is told in its own words. htmx gets a toast and refetches; without it, the person goes back to
    where they came from.
    """
    incident = incident_for(request, number)
    try:
        require_respond(request.user, incident.service.team)
        action(incident_id=incident.pk, actor=Actor.person(request.user, via="web"), **arguments)
    except OpenAlertError as failure:
        return refuse(request, incident, failure)
    if request.htmx:
        toast = {"title": done, "tone": "success"}
        return HttpResponse(
            status=HTTPStatus.NO_CONTENT,
            headers={"HX-Trigger": json.dumps({"toast": toast, CHANGED: {}, "close-dialog": {}})},
        )
    messages.success(request, done)
    return back(request, incident)


def refuse(request: HttpRequest, incident: Incident, failure: OpenAlertError) -> HttpResponse:
    """Tell a failure in its own words."""
    if not request.htmx:
        messages.error(request, failure.detail)
        return back(request, incident)
    body = error_body(
        type=error_type(failure.status, field=failure.field),
        errors=[error(failure.code, failure.detail, field=failure.field)],
        correlation_id=request.correlation_id,  # type: ignore[attr-defined]
    )
    return JsonResponse(body, status=failure.status)


def wrong(request: HttpRequest, number: int, form: forms.Form) -> HttpResponse:
    """Tell what is wrong with a form that has no page of its own."""
    words = " ".join(message for messages in form.errors.values() for message in messages)
    failure = OpenAlertError(words)
    failure.code = "invalid"
    return refuse(request, incident_for(request, number), failure)


def back(request: HttpRequest, incident: Incident) -> HttpResponse:
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return redirect(target)
    return redirect(incident)
