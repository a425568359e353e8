"""The one shape of every error that a program gets from us, whatever part of us answers.

{"type": "client_error", "errors": [{"code": "not_found", "detail": "Not found.", "field": null}],
 "correlation_id": "0198c5c0-…"}
"""

from http import HTTPStatus
from typing import Any, Literal, TypedDict

from django.http import HttpRequest, HttpResponse, HttpResponseServerError, JsonResponse
from django.template.loader import render_to_string
from django.views import defaults

from openalert import correlation_id

API_PREFIX = "/api/"

ErrorType = Literal["validation_error", "client_error", "server_error"]


class Error(TypedDict):
    """`code` for programs, `detail` for people, `field` names what was wrong: `title`, `steps.0.targets`."""

    code: str
    detail: str
    field: str | None


def error(code: str, detail: str, *, field: str | None = None) -> Error:
    return {"code": code, "detail": detail, "field": field}


def error_body(*, type: ErrorType, errors: list[Error], correlation_id: str) -> dict[str, Any]:
    """The body of an error response. `type` is validation_error when the fields of the input are at fault."""
    return {"type": type, "errors": errors, "correlation_id": correlation_id}


def error_type(status: int, *, field: str | None = None) -> ErrorType:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return "validation_error" if status == HTTPStatus.BAD_REQUEST and field else "client_error"


def error_response(status: HTTPStatus, code: str, detail: str) -> JsonResponse:
    """An error with one message, for the request that is being answered."""
    body = error_body(
        type=error_type(status), errors=[error(code, detail)], correlation_id=correlation_id.current.get()
    )
    return JsonResponse(body, status=status)


# Django's own error views, for what fails before a view is reached or outside of one.


def wants_json(request: HttpRequest) -> bool:
    """Programs do, and htmx: pages show such an error as a toast."""
    return request.path.startswith(API_PREFIX) or "HX-Request" in request.headers


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if wants_json(request):
        return error_response(HTTPStatus.BAD_REQUEST, "bad_request", "The request is malformed.")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if wants_json(request):
        detail = str(exception) or "You may not do this."
        return error_response(HTTPStatus.FORBIDDEN, "permission_denied", detail)
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if wants_json(request):
        return error_response(HTTPStatus.NOT_FOUND, "not_found", "Not found.")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if wants_json(request):
        return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "error", "Something went wrong on our side.")
    # Django's own view renders without the request, and the page shows its correlation id.
    return HttpResponseServerError(render_to_string("500.html", {"request": request}))
