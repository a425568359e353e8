"""What higher apps know of incidents and the list of incidents shows: no import may run from here to them.

They add themselves in AppConfig.ready(); whatever is added works on many incidents at once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.safestring import SafeString

from .models import Incident

# text → the ids of the incidents that it leads to, as a query of one column, `found`
Search = Callable[[str], QuerySet[Any]]
# incidents → what to say beside each of them in a list, by its id; a fixed number of queries
Note = Callable[[Sequence[Incident]], dict[UUID, SafeString]]

searches: list[Search] = []
notes: list[Note] = []


def notes_for(incidents: Iterable[Incident]) -> dict[UUID, list[SafeString]]:
    """What all apps have to say about each incident, by its id."""
    incidents = list(incidents)
    said: dict[UUID, list[SafeString]] = {incident.pk: [] for incident in incidents}
    for note in notes:
        for incident_id, text in note(incidents).items():
            said[incident_id].append(text)
    return said
