"""Where programs ping: /ping/<key>, with /start, /fail or an exit status after it, as Healthchecks.io has it.

GET, HEAD and POST; what is posted is kept, its first part. 503 while it cannot be stored: send it again (curl --retry).
"""

import ipaddress
import logging
from http import HTTPStatus

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from . import heartbeats
from .enums import PingKind
from .models import Heartbeat
from .models.heartbeat import MAX_PING_BODY

logger = logging.getLogger(__name__)

MOST_EXIT_STATUS = 255
RETRY_AFTER_SECONDS = "10"


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def ping(
    request: HttpRequest, key: str, kind: PingKind = PingKind.SUCCESS, exit_status: int | None = None
) -> HttpResponse:
    if exit_status is not None and exit_status > MOST_EXIT_STATUS:
        return _says("An exit status is 0 to 255.", HTTPStatus.BAD_REQUEST)
    try:
        found = Heartbeat.objects.filter(ping_key=key).values_list("pk", flat=True).first()
        if found is None:
            return _says("There is no such heartbeat.", HTTPStatus.NOT_FOUND)
        heartbeats.ping(
            found, kind=kind, exit_status=exit_status, body=_body(request), address=_address(request)
        )
    except Heartbeat.DoesNotExist:
        return _says("There is no such heartbeat.", HTTPStatus.NOT_FOUND)
    except DatabaseError as failure:
        logger.error("a ping was not stored: %s", failure)
        answer = _says("It cannot be stored now: send it again.", HTTPStatus.SERVICE_UNAVAILABLE)
        answer["Retry-After"] = RETRY_AFTER_SECONDS
        return answer
    return _says("OK", HTTPStatus.OK)


def _body(request: HttpRequest) -> str:
    """Its first part, whatever the rest is."""
    return request.read(MAX_PING_BODY).decode(errors="replace").replace("\0", "�")


def _address(request: HttpRequest) -> str | None:
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def _says(words: str, status: HTTPStatus) -> HttpResponse:
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8")


urlpatterns = [
    path("ping/<str:key>", ping, name="ping"),
    path("ping/<str:key>/start", ping, {"kind": PingKind.START}, name="ping-start"),
    path("ping/<str:key>/fail", ping, {"kind": PingKind.FAIL}, name="ping-fail"),
    path("ping/<str:key>/<int:exit_status>", ping, name="ping-exit-status"),
    # systemd's $EXIT_STATUS is a signal's name when one has ended the program.
    re_path(r"^ping/(?P<key>[^/]+)/[A-Z][A-Z0-9]*$", ping, {"kind": PingKind.FAIL}),
]
