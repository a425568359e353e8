"""How the API finds the incident that an address names; for the apps that have matters under its path too."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from incidents.models import Incident, IncidentQuerySet
from incidents.timeline import Actor
from teams.access import require_respond


def incidents_for(request: Request) -> IncidentQuerySet:
    """The incidents that the asker may see, with what an IncidentSerializer shows."""
    return Incident.objects.visible_to(request.user).select_related(
        "service__team", "acknowledged_by", "assigned_to", "resolved_by", "merged_into"
    )


def incident_to_see(request: Request, incident_id: UUID) -> Incident:
    """Raises Http404 when it is not there or not the asker's to see."""
    return get_object_or_404(incidents_for(request), pk=incident_id)


def incident_to_change(request: Request, incident_id: UUID) -> Incident:
    """Raises Http404 as above, and PermissionMissing when the asker may only look."""
    incident = incident_to_see(request, incident_id)
    require_respond(request.user, incident.service.team)
    return incident


def asker(request: Request) -> Actor:
    return Actor.person(request.user, via="api")
