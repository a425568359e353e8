"""Actions that a page may ask for twice, as it cannot know whether the first time arrived: they are done once."""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from openalert import sql
from teams.models import User

from .exceptions import BadIdempotencyKey

HEADER = "Idempotency-Key"
# Of forms that may be sent twice without a script: made with the page.
FIELD = "once_key"
CLAIM = (
    "INSERT INTO incidents_doneaction (user_id, key) VALUES (%s, %s) ON CONFLICT (user_id, key) DO NOTHING"
)
FORGET = "DELETE FROM incidents_doneaction WHERE done_at < now() - interval '1 day'"


def key_of(request: HttpRequest) -> UUID | None:
    """The key that the page gave the action; None without one. Raises BadIdempotencyKey.

    The header comes first: a form that waited in the tab for a connection may have been filled in again since.
    """
    given = request.headers.get(HEADER) or request.POST.get(FIELD)
    if not given:
        return None
    try:
        return UUID(given)
    except ValueError as error:
        raise BadIdempotencyKey from error


def do_once(user: User, key: UUID | None, action: Callable[[], object]) -> None:
    """Do `action` in a transaction, unless this person had it done under this key before.

    Of two at once the second waits for the first. One that raised was not done, and may be asked for again. Keys are
    remembered for a day.
    """
    with transaction.atomic():
        if key is None or sql.execute(CLAIM, [user.pk, key]):
            action()


def forget_old() -> int:
    return sql.execute(FORGET, [])
