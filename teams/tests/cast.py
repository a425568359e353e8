"""The people that API tests are played by, and what they are answered."""

from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from openalert.tests.api_client import DocumentedClient

from .factories import TeamFactory, UserFactory

EVERYBODY = ("manager", "responder", "observer", "outsider", "nobody")


class Cast:
    """A manager, a responder and an observer of `team`, the manager of another one, and nobody."""

    nobody = None

    def __init__(self) -> None:
        self._clients: dict[str, DocumentedClient] = {}
        self.manager = UserFactory(name="Mara Manager")
        self.responder = UserFactory(name="Rui Responder")
        self.observer = UserFactory(name="Ona Observer")
        self.outsider = UserFactory(name="Otis Outsider")
        self.team = TeamFactory(
            name="Payments",
            managers=[self.manager],
            responders=[self.responder],
            observers=[self.observer],
        )
        self.other_team = TeamFactory(name="Search", managers=[self.outsider])

    def api(self, who: str) -> DocumentedClient:
        """A client that is signed in as one of them; always the same one, as making them is slow."""
        if who not in self._clients:
            self._clients[who] = DocumentedClient()
            if getattr(self, who):
                self._clients[who].force_authenticate(getattr(self, who))
        return self._clients[who]

    def statuses(self, method: str, path: str, body: Any = None) -> dict[str, int]:
        """What each of them is answered; nothing of it stays in the database."""
        return {who: self._status(who, method, path, body) for who in EVERYBODY}

    def _status(self, who: str, method: str, path: str, body: Any) -> int:
        with transaction.atomic():
            response = getattr(self.api(who), method)(path, body)
            transaction.set_rollback(True)
        return response.status_code


def answers(manager: int, responder: int, observer: int, outsider: int, nobody: int = 401) -> dict[str, int]:
    return dict(zip(EVERYBODY, (manager, responder, observer, outsider, nobody), strict=True))


SEEN_BY_MEMBERS = answers(200, 200, 200, 404)


def count_queries(api: DocumentedClient, path: str) -> tuple[int, int]:
    """How many rows a list has, and how many queries it took."""
    with CaptureQueriesContext(connection) as queries:
        response = api.get(path)
    assert response.status_code == 200, response.content
    return len(response.json()["results"]), len(queries)
