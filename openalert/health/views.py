"""Health for machines: /healthz, /readyz and /metrics."""

import hmac
import ipaddress
import threading
import time
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import choose_encoder

from openalert import draining
from openalert.error_shape import error_response

from . import checks
from .checks import Check
from .metrics import registry

# Many may ask; the database is asked once in a second.
KEPT_SECONDS = 1.0

_lock = threading.Lock()
_looked: tuple[float, list[Check]] = (float("-inf"), [])


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when this process can take alerts and answer people, 503 when not. With ?strict, 503 also when another part of
    the installation is not well."""
    found = [*_look(), *_ending()]
    is_ready, is_well = checks.is_ready(found), checks.is_well(found)
    is_good = is_well if "strict" in request.GET else is_ready
    body: dict[str, Any] = {
        "status": "ok" if is_well else "unwell" if is_ready else "not ready",
        "ready": is_ready,
        "checks": {
            check.name: {
                "ok": check.is_ok,
                "needed": check.is_needed,
                "detail": check.detail,
                **({} if check.seconds is None else {"seconds": round(check.seconds, 1)}),
            }
            for check in found
        },
    }
    return JsonResponse(body, status=HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE)


def _ending() -> list[Check]:
    """Of this process alone."""
    if not draining.is_draining:
        return []
    return [Check("process", False, "This process is about to end.", is_needed=True)]


def _look() -> list[Check]:
    global _looked
    with _lock:
        looked_at, found = _looked
        if time.monotonic() - looked_at >= KEPT_SECONDS:
            found, _ = checks.look()
            _looked = (time.monotonic(), found)
        return found


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus, with METRICS_TOKEN as bearer token. The embedded installation shows them to its own machine without."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            refusal = error_response(
                HTTPStatus.UNAUTHORIZED, "not_authenticated", "Send METRICS_TOKEN as bearer token."
            )
            refusal["WWW-Authenticate"] = "Bearer"
            return refusal
    elif not settings.EMBEDDED or not _is_this_machine(request):
        raise Http404
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _is_this_machine(request: HttpRequest) -> bool:
    """Asked directly from a loopback address, and not through a proxy."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
