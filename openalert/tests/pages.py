"""The cast of a test in front of a browser without scripts."""

from typing import Any, Protocol

from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

EVERYBODY = ("manager", "responder", "observer", "outsider", "nobody")
SIGN_IN = 302


class People(Protocol):
    """Has an attribute for each of EVERYBODY: a User, or None."""


class Pages:
    """What each of the cast gets to see."""

    def __init__(self, cast: People) -> None:
        self.cast = cast
        self._clients: dict[str, Client] = {}

    def client(self, who: str) -> Client:
        """A browser that is signed in as one of them; always the same one."""
        if who not in self._clients:
            self._clients[who] = Client()
            if user := getattr(self.cast, who):
                self._clients[who].force_login(user)
        return self._clients[who]

    def text(self, who: str, path: str, **options: Any) -> str:
        response = self.client(who).get(path, **options)
        assert response.status_code == 200, response
        return response.text

    def statuses(self, method: str, path: str, given: dict[str, Any] | None = None) -> dict[str, int]:
        """What each of them is answered; nothing of it stays in the database."""
        return {who: self._status(who, method, path, given) for who in EVERYBODY}

    def _status(self, who: str, method: str, path: str, given: dict[str, Any] | None) -> int:
        client = self.client(who)
        with transaction.atomic():
            response: HttpResponse = getattr(client, method)(path, given)
            transaction.set_rollback(True)
        return response.status_code

    @staticmethod
    def answers(manager: int, responder: int, observer: int, outsider: int) -> dict[str, int]:
        """Nobody is sent to sign in."""
        return dict(zip(EVERYBODY, (manager, responder, observer, outsider, SIGN_IN), strict=True))

    def count_queries(self, who: str, path: str) -> int:
        self.client(who)
        with CaptureQueriesContext(connection) as queries:
            self.text(who, path)
        return len(queries)
