"""What keeps a service from being removed although the database would let it go."""

from django.utils import timezone

from teams import service_checks
from teams.models import Service

from .models import MaintenanceSeries


def obstacles(service: Service) -> list[str]:
    found = []
    if service.integrations.exists():
        # Monitoring systems may be using their keys: whoever wants that to end removes them by name.
        found.append("It still has integrations: remove those first.")
    is_planned = service.maintenance_windows.filter(ends_at__gt=timezone.now()).exists()
    if is_planned or MaintenanceSeries.objects.filter(services=service).exists():
        # A window without the last of its services would be about all of the team's.
        found.append("Maintenance of it is planned: cancel that first.")
    return found


def connect() -> None:
    service_checks.obstacles.append(obstacles)
