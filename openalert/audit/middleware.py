"""Lets the audit log know whose request it is."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from openalert.acting import serving


class AuditMiddleware:
    """Behind AuthenticationMiddleware. Nobody is looked up here: only what is recorded asks who it was."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if self.is_async:
            return self.handle_async(request)
        with serving(request):
            return self.get_response(request)

    async def handle_async(self, request: HttpRequest) -> HttpResponse:
        with serving(request):
            return await self.get_response(request)  # type: ignore[misc]
