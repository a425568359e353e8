"""Which services depend on which. What follows for alerts and incidents is alerts.upstream's.

A dependency belongs to the dependent service: the managers of its team declare it, on a service that they see. With
`join` its alerts go into incidents of the upstream service's team and page its people, so whoever says so has to be a
responder of that team as well. Either team's managers may take a dependency away: nobody has to put up with it.
"""

from uuid import UUID

from django.db import connection, transaction

from .access import can_manage, require_manage, require_respond
from .enums import Correlation
from .exceptions import DependencyCycle, DependencyExists, DependsOnItself
from .models import Service, ServiceDependency, User

IS_UPSTREAM = """
WITH RECURSIVE up AS (
    SELECT upstream_id AS id FROM teams_servicedependency WHERE service_id = %s
    UNION
    SELECT d.upstream_id FROM up JOIN teams_servicedependency d ON d.service_id = up.id
)
SELECT EXISTS (SELECT FROM up WHERE id = %s)
"""


@transaction.atomic
def add_dependency(
    *, service: Service, upstream: Service, correlation: Correlation, window_minutes: int, by: User
) -> ServiceDependency:
    """Declare that `service` depends on `upstream`.

    Raises PermissionMissing, and what `require_possible` raises.
    """
    _require_may_declare(service, upstream, correlation, by)
    require_possible(service, upstream)
    return ServiceDependency.objects.create(
        service=service, upstream=upstream, correlation=correlation, window_minutes=window_minutes
    )


def require_possible(service: Service, upstream: Service) -> None:
    """Hold all dependencies until the transaction ends, and check that this one may be added.

    Raises DependsOnItself, DependencyExists and DependencyCycle.
    """
    if service == upstream:
        raise DependsOnItself(field="upstream")
    with connection.cursor() as cursor:
        # Two halves of a circle, declared at once, would each see none. Reading goes on meanwhile.
        cursor.execute("LOCK TABLE teams_servicedependency IN SHARE ROW EXCLUSIVE MODE")
        if ServiceDependency.objects.filter(service=service, upstream=upstream).exists():
            raise DependencyExists(service=service, upstream=upstream)
        cursor.execute(IS_UPSTREAM, [upstream.pk, service.pk])
        if cursor.fetchone()[0]:
            raise DependencyCycle(service=service, upstream=upstream)


@transaction.atomic
def change_dependency(
    *, dependency_id: UUID, correlation: Correlation, window_minutes: int, by: User
) -> ServiceDependency:
    """Set what becomes of the alerts. Raises PermissionMissing. Repeating it changes nothing."""
    dependency = (
        ServiceDependency.objects.select_for_update(of=("self",))
        .select_related("service__team", "upstream__team")
        .get(pk=dependency_id)
    )
    _require_may_declare(dependency.service, dependency.upstream, correlation, by)
    dependency.correlation, dependency.window_minutes = correlation, window_minutes
    dependency.save()
    return dependency


def remove_dependency(*, dependency: ServiceDependency, by: User) -> None:
    """Raises PermissionMissing. The services and their teams should be loaded. Repeating it changes nothing."""
    if not can_manage(by, dependency.upstream.team):
        require_manage(by, dependency.service.team)
    ServiceDependency.objects.filter(pk=dependency.pk).delete()


def _require_may_declare(service: Service, upstream: Service, correlation: Correlation, by: User) -> None:
    require_manage(by, service.team)
    if correlation == Correlation.JOIN:
        require_respond(by, upstream.team)
