"""What the incidents app shows on a service's page."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET

from teams.models import Service

from .enums import Status

MOST_RECENT = 5


@login_required
@require_GET
def service_incidents(request: HttpRequest, pk: UUID) -> HttpResponse:
    """All that is unresolved about a service, worst first, and the last that were resolved."""
    service = get_object_or_404(Service.objects.visible_to(request.user), pk=pk)
    incidents = service.incidents.select_related("assigned_to", "merged_into")
    unresolved = incidents.unresolved().with_severity_rank().order_by("severity_rank", "-opened_at")
    resolved = incidents.filter(status=Status.RESOLVED).order_by("-opened_at")
    return render(
        request,
        "incidents/_service_incidents.html",
        {"service": service, "unresolved": unresolved, "resolved": resolved[:MOST_RECENT]},
    )


urlpatterns = [path("services/<uuid:pk>/incidents/", service_incidents, name="service-incidents")]
