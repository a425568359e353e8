"""Asks the provider again whether somebody may still be here.

mozilla-django-oidc's SessionRefresh sends every GET away, those of htmx too. Here a whole page that is opened goes by way of
the provider once half of OIDC_REFRESH_MINUTES is over. What else comes is taken until all of them are; then it is
refused in words, so that a form keeps what was typed and can be sent again.
"""

import time
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY
from django.http import HttpRequest, HttpResponse

from openalert.error_shape import error_response, wants_json

from . import provider
from .exceptions import SignInRefused
from .views import BACKEND, CONFIRMED_AT, BeginView, refusal

WORDS = "Your sign-in has to be confirmed: open OpenAlert in another window, then send this again."

NOT_HELD_BACK = ("/accounts/login/", "/accounts/logout/", "/accounts/oidc/")


class ConfirmSessionMiddleware:
    """Behind AuthenticationMiddleware; costs nothing without OIDC_ISSUER."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.confirm(request) or self.get_response(request)

    def confirm(self, request: HttpRequest) -> HttpResponse | None:
        """None when the request may go on."""
        if not provider.is_on() or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return None
        if request.path.startswith(NOT_HELD_BACK) or request.session.get(BACKEND_SESSION_KEY) != BACKEND:
            return None
        age = time.time() - request.session.get(CONFIRMED_AT, 0)
        allowed = settings.OIDC_REFRESH_MINUTES * 60
        if (
            age < allowed / 2 or provider.is_away()
        ):  # who is on call is not locked out by the provider's outage
            return None
        if is_whole_page(request):
            return BeginView.as_view(is_silent=True, address=request.get_full_path())(request)
        if age < allowed:
            return None
        if wants_json(request):
            return error_response(HTTPStatus.FORBIDDEN, "sign_in_to_be_confirmed", WORDS)
        return refusal(request, SignInRefused(WORDS))


def is_whole_page(request: HttpRequest) -> bool:
    """Whether a browser opens it as a page of its own. All browsers of today say so; Accept is for others."""
    if request.method != "GET" or "HX-Request" in request.headers:
        return False
    if mode := request.headers.get("Sec-Fetch-Mode"):
        return mode == "navigate" and request.headers.get("Sec-Fetch-Dest", "document") == "document"
    return "text/html" in request.headers.get("Accept", "")
