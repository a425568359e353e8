"""The list of services, which needs what every app knows, and how a service's incidents escalate."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.utils import timezone
from django.views.decorators.http import require_GET

from incidents.health import health_of
from teams.access import teams_to_manage
from teams.models import Service

from . import queries


@login_required
@require_GET
def service_list(request: HttpRequest) -> HttpResponse:
    """The services of the person's teams: those that are worst first."""
    services = list(Service.objects.visible_to(request.user).select_related("team"))
    health = health_of(services)
    first = queries.first_paged(services, at=timezone.now())
    rows = [
        {"service": service, "health": health.get(service.pk), "people": first[service.pk]}
        for service in services
    ]
    rows.sort(key=lambda row: row["health"].worst.rank if row["health"] else 9)
    context = {"rows": rows, "may_add": teams_to_manage(request.user).exists()}
    return render(request, "escalations/services.html", context)


@login_required
@require_GET
def service_escalation(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = get_object_or_404(Service.objects.visible_to(request.user), pk=pk)
    plans = queries.plans_for(service, at=timezone.now())
    return render(request, "escalations/_service_escalation.html", {"service": service, "plans": plans})


urlpatterns = [
    path("services/", service_list, name="services"),
    path("services/<uuid:pk>/escalation/", service_escalation, name="service-escalation"),
]
