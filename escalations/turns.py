"""Round robins: of the people in a schedule, each is paged in their turn.

Whose turn it was is a row in the database. Who takes a turn holds the row until the transaction ends, so that of any
number of workers no two page the same person for two incidents, and a turn that is rolled back is not lost.
"""

from collections.abc import Iterable, Sequence

from django.utils import timezone

from teams.models import User

from .models import RoundRobinTurn


class Turns:
    """The turns of some round robins. With `is_taking`, rows are locked, and `save` writes what was taken."""

    def __init__(self, keys: Iterable[str], *, is_taking: bool) -> None:
        # In one order, so that two workers cannot deadlock.
        names = sorted(set(keys))
        self._rows: dict[str, RoundRobinTurn] = {}
        self._taken: set[str] = set()
        if not names:
            return
        rows = RoundRobinTurn.objects.filter(key__in=names).order_by("key")
        if is_taking:
            there = set(rows.values_list("key", flat=True))
            missing = [RoundRobinTurn(key=name) for name in names if name not in there]
            RoundRobinTurn.objects.bulk_create(missing, ignore_conflicts=True)
            rows = rows.select_for_update()
        self._rows = {row.key: row for row in rows}

    def take(self, key: str, people: Sequence[User]) -> list[User]:
        """The next of the people, who are in the order of their turns; nobody when there are none.

        When whoever was last is no longer among them, it is whoever stands in their place.
        """
        if not people:
            return []
        row = self._rows.setdefault(key, RoundRobinTurn(key=key))
        places = {user.pk: place for place, user in enumerate(people)}
        if row.last_user_id in places:
            place = (places[row.last_user_id] + 1) % len(people)
        else:
            place = row.last_place % len(people)
        row.last_user_id, row.last_place = people[place].pk, place
        self._taken.add(key)
        return [people[place]]

    def save(self) -> None:
        taken = [self._rows[key] for key in sorted(self._taken)]
        for row in taken:
            row.updated_at = timezone.now()
        if taken:
            RoundRobinTurn.objects.bulk_update(taken, ["last_user_id", "last_place", "updated_at"])
