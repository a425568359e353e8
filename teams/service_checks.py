"""What higher apps know to be wrong with a service, to be told when it is saved, or what keeps it from being removed.

No import may run from here to them.

They add themselves in AppConfig.ready(); whatever is added works on many services at once.
"""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from .models import Service

# services (team loaded) → what is wrong, in sentences, by the service's id; a fixed number of queries
Check = Callable[[Sequence[Service]], dict[UUID, list[str]]]

# a service → why it may not be removed, in sentences
Obstacle = Callable[[Service], list[str]]

checks: list[Check] = []
obstacles: list[Obstacle] = []


def warnings_for(services: Iterable[Service]) -> dict[UUID, list[str]]:
    """What is wrong with each service, by its id; an empty list where nothing is."""
    services = list(services)
    found: dict[UUID, list[str]] = {service.pk: [] for service in services}
    for check in checks:
        for service_id, words in check(services).items():
            found[service_id] += words
    return found


def obstacles_for(service: Service) -> list[str]:
    """Why the service may not be removed; empty when it may, as far as no foreign key keeps it."""
    return [words for obstacle in obstacles for words in obstacle(service)]
