"""A line in the log for each request that Django answers, where logs are for machines.

Intake has none (alerts.door): it would cost as much as the alert. What it refuses is counted, and logged by its cause.
"""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

logger = logging.getLogger("openalert.requests")

# Asked every few seconds by machines: only what goes wrong there is worth a line.
PROBES = ("/healthz", "/readyz", "/metrics")


class RequestLogMiddleware:
    """Behind CorrelationIdMiddleware, before all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.LOG_REQUESTS:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        log(request, response, time.perf_counter() - began)
        return response


def log(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    if request.path in PROBES and response.status_code < 400:
        return
    match = request.resolver_match
    logger.info(
        "%s %s → %s",
        request.method,
        request.path,
        response.status_code,
        extra={
            "method": request.method,
            "path": request.path,
            "route": match.route if match else None,
            "status": response.status_code,
            "milliseconds": round(seconds * 1000, 1),
            "user": _user_id(request),
        },
    )


def _user_id(request: HttpRequest) -> str | None:
    """Of whoever was looked up to answer; nobody is looked up for the log."""
    user = getattr(request, "_cached_user", None)
    return str(user.pk) if user is not None and user.is_authenticated else None
