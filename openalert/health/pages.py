"""The page of queues, for operators: what waits, who works, what failed, how the providers fare."""

from collections.abc import Callable
from typing import Any

import redis
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_GET, require_POST

from notifications import dead_letters, provider_pauses
from openalert import failed_tasks, figures
from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError

from . import checks, queues, vitals

CHANGED = "queues-changed"  # the page's region listens for it
TITLES = {
    "database": "PostgreSQL",
    "redis": "Redis",
    "migrations": "Tables",
    "tick": "Tick",
    "beat": "Beat",
    "escalations": "Escalations",
    "outbox": "Outbox",
}


@login_required
@require_GET
def queue_page(request: HttpRequest) -> HttpResponse:
    if not dead_letters.may_look_after(request.user):
        raise PermissionDenied(
            "Only operators see this: administrators, auditors and the responders of an operations team."
        )
    found, seen = checks.look(lambda line: vitals.read(line, whole=True))
    context: dict[str, Any] = {
        "checks": [(TITLES[check.name], check) for check in found],
        "is_well": checks.is_well(found),
        "seen": seen,
        "providers": provider_pauses.providers(),
        "spans": provider_pauses.SPANS,
        "at": timezone.now(),
        **_of_redis(),
    }
    return render(request, "queues.html", context)


def _of_redis() -> dict[str, Any]:
    try:
        return {
            "queues": queues.queues(),
            "processes": figures.processes(),
            "failures": failed_tasks.groups(),
        }
    except redis.RedisError:
        return {"is_redis_away": True}


@login_required
@require_POST
def pause_provider(request: HttpRequest, name: str) -> HttpResponse:
    span = provider_pauses.SPANS.get(request.POST.get("minutes", ""), provider_pauses.SPANS["15"])

    def pause() -> str:
        until = provider_pauses.pause(name, span=span, by=request.user)
        return f"{name} is paused until {date_format(timezone.localtime(until), 'H:i')}"

    return _change(request, pause)


@login_required
@require_POST
def resume_provider(request: HttpRequest, name: str) -> HttpResponse:
    def resume() -> str:
        count = provider_pauses.resume(name, by=request.user)
        return f"{name} is used again" + (f": {count} pages go now" if count else "")

    return _change(request, resume)


@login_required
@require_POST
def forget_failures(request: HttpRequest) -> HttpResponse:
    """Somebody has seen to the failed tasks."""
    if not dead_letters.is_operator(request.user):
        raise PermissionDenied
    try:
        failed_tasks.forget()
    except redis.RedisError:
        return refused(request, OpenAlertError("Redis cannot be asked."), to=reverse("queues"))
    return done(request, "The failed tasks are put away", to=reverse("queues"), changed=CHANGED)


def _change(request: HttpRequest, change: Callable[[], str]) -> HttpResponse:
    try:
        title = change()
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("queues"))
    return done(request, title, to=reverse("queues"), changed=CHANGED)
