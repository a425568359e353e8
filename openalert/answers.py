"""How pages answer small actions, with htmx and without it."""

import json
from http import HTTPStatus

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect

from openalert.error_shape import error, error_body, error_type
from openalert.exceptions import OpenAlertError


def done(request: HttpRequest, title: str, *, to: str, changed: str = "") -> HttpResponse:
    """Say that something was done. htmx closes its dialog, and the page's regions that wait for the event `changed`
    refetch themselves; a browser without it goes to the address `to`."""
    if not request.htmx:  # type: ignore[attr-defined]
        messages.success(request, title)
        return redirect(to)
    events: dict[str, dict[str, str]] = {"toast": {"title": title, "tone": "success"}, "close-dialog": {}}
    if changed:
        events[changed] = {}
    return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Trigger": json.dumps(events)})


def refused(request: HttpRequest, failure: OpenAlertError, *, to: str) -> HttpResponse:
    """Tell a failure in its own words: a toast here, or after going to the address `to`.

    Raises PermissionDenied for what the person may not do, when there is no htmx to show a toast.
    """
    if request.htmx:  # type: ignore[attr-defined]
        return failure_as_json(request, failure)
    if failure.status == HTTPStatus.FORBIDDEN:
        raise PermissionDenied(failure.detail)
    messages.error(request, failure.detail)
    return redirect(to)


def failure_as_json(request: HttpRequest, failure: OpenAlertError) -> JsonResponse:
    """A failure in the one shape of errors; the page's script shows its words in a toast."""
    body = error_body(
        type=error_type(failure.status, field=failure.field),
        errors=[error(failure.code, failure.detail, field=failure.field)],
        correlation_id=request.correlation_id,  # type: ignore[attr-defined]
    )
    return JsonResponse(body, status=failure.status)
