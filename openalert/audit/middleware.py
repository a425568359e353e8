"""Lets the audit log know whose request it is."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from openalert.acting import serving


class AuditMiddleware:
    """Behind AuthenticationMiddleware. Nobody is looked up here: only what is recorded asks who it was."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with serving(request):
            return self.get_response(request)
