"""The end of a service. That one is made and changed is escalations.services, which writes what several apps own."""

from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError, RestrictedError

from . import service_checks
from .access import require_manage
from .exceptions import ServiceInUse
from .models import Service, User


@transaction.atomic
def remove_service(*, service_id: UUID, by: User) -> Service:
    """Only one that nothing tells of: incidents and their alerts are kept, and with them their service.

    Raises Service.DoesNotExist, PermissionMissing, ServiceInUse.
    """
    service = Service.objects.select_for_update(of=("self",)).select_related("team").get(pk=service_id)
    require_manage(by, service.team)
    if obstacles := service_checks.obstacles_for(service):
        raise ServiceInUse(" ".join(obstacles))
    try:
        service.delete()
    except (ProtectedError, RestrictedError) as error:
        raise ServiceInUse from error
    return service
