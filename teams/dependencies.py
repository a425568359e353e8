"""Which services depend on which. What follows for alerts and incidents is alerts.upstream's.

A dependency belongs to the dependent service: the managers of its team declare it, on a service that they see. With
`join` its alerts go into incidents of the upstream service's team and page its people, so whoever says so has to be a
responder of that team as well. Either team's managers may take a dependency away: nobody has to put up with it.
"""

from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from .access import can_manage, require_manage, require_respond
from .enums import Correlation
from .exceptions import DependencyCycle, DependencyExists, DependsOnItself
from .models import Service, ServiceDependency, User

FARTHEST = 10  # dependencies; what is beyond them is not looked for

IS_UPSTREAM = """
WITH RECURSIVE up AS (
    SELECT upstream_id AS id FROM teams_servicedependency WHERE service_id = %s
    UNION
    SELECT d.upstream_id FROM up JOIN teams_servicedependency d ON d.service_id = up.id
)
SELECT EXISTS (SELECT FROM up WHERE id = %s)
"""


def _around(begin: str, end: str) -> str:
    # There are no circles, and no more than FARTHEST steps are taken.
    return f"""
WITH RECURSIVE around AS (
    SELECT {end} AS id, 1 AS distance FROM teams_servicedependency WHERE {begin} = %s
    UNION
    SELECT d.{end}, a.distance + 1 FROM around a JOIN teams_servicedependency d ON d.{begin} = a.id
    WHERE a.distance < {FARTHEST}
)
SELECT id, min(distance) FROM around GROUP BY id
"""  # noqa: S608 - of our own constants


UPSTREAM = _around("service_id", "upstream_id")
DOWNSTREAM = _around("upstream_id", "service_id")


class Neighbour(NamedTuple):
    """A service that another one needs or is needed by; with a distance above 1, through others."""

    service: Service
    distance: int


def upstream_of(service_id: UUID, *, user: User) -> tuple[list[Neighbour], int]:
    """What a service needs, as far as `user` sees it (team loaded), the nearest first; and how many more there are."""
    return _neighbours(UPSTREAM, service_id, user)


def affected_by(service_id: UUID, *, user: User) -> tuple[list[Neighbour], int]:
    """What is likely broken when a service is, as `upstream_of` tells it."""
    return _neighbours(DOWNSTREAM, service_id, user)


def _neighbours(statement: str, service_id: UUID, user: User) -> tuple[list[Neighbour], int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [service_id])
        distances = dict(cursor.fetchall())
    seen = Service.objects.visible_to(user).filter(pk__in=distances).select_related("team").order_by("name")
    found = [Neighbour(service, distances[service.pk]) for service in seen] if distances else []
    return sorted(found, key=lambda one: one.distance), len(distances) - len(found)


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
