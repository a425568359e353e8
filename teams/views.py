"""Pages about what teams own: a service, who is on call, a schedule."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from .access import can_respond
from .models import Schedule, Service
from .queries import with_rotation


@login_required
@require_GET
def service_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)
    context = {"service": service, "may_respond": can_respond(request.user, service.team)}
    return render(request, "teams/service.html", context)


@login_required
@require_GET
def on_call_page(request: HttpRequest) -> HttpResponse:
    schedules = with_rotation(Schedule.objects.visible_to(request.user))
    return render(request, "teams/on_call.html", {"schedules": schedules})


@login_required
@require_GET
def schedule_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    schedule = get_object_or_404(with_rotation(Schedule.objects.visible_to(request.user)), pk=pk)
    return render(request, "teams/schedule.html", {"schedule": schedule})
