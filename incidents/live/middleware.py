"""A page says from where on it has to be told: what happens while it is made and on its way must not be missed."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from . import hub


class LiveCursorMiddleware:
    """Puts the cursor that this process has come to on the request, before anything is read for the page.

    It may be some way behind, which costs a page that fetches something twice; without one a page fetches all anew.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.live_cursor = hub.reached or ""  # type: ignore[attr-defined]
        return self.get_response(request)
