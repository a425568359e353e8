"""What every page's action on an incident shares: whose it is, one call, and the answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from openalert.answers import failure_as_json
from openalert.exceptions import OpenAlertError, PermissionMissing
from teams.access import require_respond

from . import once
from .models import Incident
from .timeline import Actor

CHANGED = "incident-changed"  # the regions of an incident's page listen for it


def incident_for(request: HttpRequest, number: int) -> Incident:
    """The incident that the person who asks may see; 404 otherwise."""
    incidents = Incident.objects.visible_to(request.user)
    return get_object_or_404(
        incidents.select_related(
            "service__team", "assigned_to", "acknowledged_by", "resolved_by", "merged_into"
        ),
        number=number,
    )


def incident_to_change(request: HttpRequest, number: int) -> Incident:
    """The incident that the person who asks may act on; 404 when they may not see it, 403 when only that."""
    incident = incident_for(request, number)
    try:
        require_respond(request.user, incident.service.team)
    except PermissionMissing as failure:
        raise PermissionDenied(failure.detail) from failure
    return incident


def act(
    request: HttpRequest, number: int, action: Callable[..., Any], *, done: str, **arguments: Any
) -> HttpResponse:
    """Do `action(incident_id=…, actor=…, **arguments)` for the person, if they may, and say `done`.

    Asked again with the same Idempotency-Key, it is said to be done and not done again (incidents.once).
    A failure is told in its own words. htmx gets a toast and refetches; without it, the person goes back to
    where they came from.
    """
    incident = incident_to_change(request, number)
    actor = Actor.person(request.user, via="web")
    try:
        once.do_once(
            request.user,
            once.key_of(request),
            lambda: action(incident_id=incident.pk, actor=actor, **arguments),
        )
    except OpenAlertError as failure:
        return refuse(request, incident, failure)
    if request.htmx:
        toast = {"title": done, "tone": "success"}
        return told(HttpResponse(status=HTTPStatus.NO_CONTENT), toast=toast)
    messages.success(request, done)
    return back(request, incident)


def told(response: HttpResponse, **events: dict[str, str]) -> HttpResponse:
    """An answer to htmx after which the page's regions are fetched again and an open dialog is closed."""
    response.headers["HX-Trigger"] = json.dumps({**events, CHANGED: {}, "close-dialog": {}})
    return response


def refuse(request: HttpRequest, incident: Incident, failure: OpenAlertError) -> HttpResponse:
    """Tell a failure in its own words, and show the incident as it is now."""
    if request.htmx:
        return told(failure_as_json(request, failure))
    messages.error(request, failure.detail)
    return back(request, incident)


def wrong(request: HttpRequest, number: int, form: forms.Form) -> HttpResponse:
    """Tell what is wrong with a form that has no page of its own."""
    words = " ".join(message for messages in form.errors.values() for message in messages)
    failure = OpenAlertError(words)
    failure.code = "invalid"
    return refuse(request, incident_to_change(request, number), failure)


def back(request: HttpRequest, incident: Incident) -> HttpResponse:
    """To the page that the form was on, when it is one of ours, else to the incident."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return redirect(target)
    return redirect(incident)


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was posted, also when that is nothing; None before it is posted."""
    return request.POST if request.method == "POST" else None


@dataclass(frozen=True)
class Question:
    """What an action has to be told first."""

    title: str
    explanation: str
    form: forms.Form
    submit: str


def ask(request: HttpRequest, incident: Incident, question: Question) -> HttpResponse:
    """The question in a dialog or, without JavaScript, on a page of its own; 422 with what is wrong in the answer."""
    template = "incidents/_question.html" if request.htmx else "incidents/question.html"
    return render(
        request,
        template,
        {"incident": incident, "question": question, "once_key": uuid4()},
        status=HTTPStatus.UNPROCESSABLE_ENTITY if question.form.errors else HTTPStatus.OK,
    )
