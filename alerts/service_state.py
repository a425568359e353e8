"""How a service is and was, on its page: what is wrong with it and around it, what is planned, 90 days of history."""

from typing import NamedTuple
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_GET

from incidents.health import Health, health_of
from teams import dependencies
from teams.models import Service

from .models import MaintenanceWindow
from .service_history import Day, history_of

MOST_PLANNED = 5
BAR = 10  # units of the drawing, with the gap


class Bar(NamedTuple):
    x: int
    day: Day


@login_required
@require_GET
def service_health(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Now: the worst that is unresolved, trouble upstream, what is likely affected, and maintenance to come."""
    service = _service(request, pk)
    now = timezone.now()
    up, _ = dependencies.upstream_of(pk, user=request.user)
    down, hidden = dependencies.affected_by(pk, user=request.user)
    health = health_of([service, *(one.service for one in [*up, *down])])
    windows = (
        MaintenanceWindow.objects.filter(Q(services=service) | Q(services=None), team=service.team_id)
        .filter(starts_at__gt=now)
        .order_by("starts_at", "pk")
        .prefetch_related("services")
    )
    own: Health | None = health.get(pk)
    return render(
        request,
        "alerts/_service_health.html",
        {
            "service": service,
            "health": own,
            "trouble": [(one, health[one.service.pk]) for one in up if one.service.pk in health],
            "affected": [(one, health.get(one.service.pk)) for one in down] if own else [],
            "hidden": hidden if own else 0,
            "planned": windows[:MOST_PLANNED],
        },
    )


@login_required
@require_GET
def service_history(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = _service(request, pk)
    history = history_of(service, at=timezone.now(), zone=request.user.tzinfo)
    told = [day for day in reversed(history.days) if day.trouble or day.maintenance]
    return render(
        request,
        "alerts/_service_history.html",
        {
            "service": service,
            "history": history,
            "bars": [Bar(place * BAR, day) for place, day in enumerate(history.days)],
            "width": len(history.days) * BAR,
            "told": told,
            "in_trouble": sum(bool(day.trouble) for day in told),
        },
    )


def _service(request: HttpRequest, pk: UUID) -> Service:
    return get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)


urlpatterns = [
    path("services/<uuid:pk>/health/", service_health, name="service-health"),
    path("services/<uuid:pk>/history/", service_history, name="service-history"),
]
