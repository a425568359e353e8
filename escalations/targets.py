"""Who the targets of a step are, at an instant."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from teams import oncall, queries
from teams.enums import Role
from teams.models import Membership, Schedule, User

from .enums import TargetKind
from .snapshot import Snapshot, Step


class Targets:
    """The people behind the targets of some snapshots, loaded in a fixed number of queries."""

    def __init__(self, snapshots: Iterable[Snapshot], *, at: datetime) -> None:
        wanted: dict[str, set[UUID]] = {kind: set() for kind in TargetKind}
        for snapshot in snapshots:
            try:
                named = [(t["kind"], UUID(t["id"])) for step in snapshot["steps"] for t in step["targets"]]
            except (KeyError, TypeError, ValueError):
                continue  # carrying this one out fails, and must not keep the others from their targets
            for kind, identifier in named:
                wanted[kind].add(identifier)
        self._people: dict[tuple[str, str], list[User]] = {}
        for user in User.objects.filter(pk__in=wanted[TargetKind.USER], is_active=True):
            self._people[TargetKind.USER, str(user.pk)] = [user]
        if wanted[TargetKind.SCHEDULE]:
            for schedule in queries.with_rotation(
                Schedule.objects.filter(pk__in=wanted[TargetKind.SCHEDULE])
            ):
                self._people[TargetKind.SCHEDULE, str(schedule.pk)] = oncall.on_call(schedule, at)
        for membership in (
            Membership.objects.filter(team__in=wanted[TargetKind.TEAM], user__is_active=True)
            .exclude(role=Role.OBSERVER)
            .select_related("user")
        ):
            self._people.setdefault((TargetKind.TEAM, str(membership.team_id)), []).append(membership.user)

    def people(self, step: Step) -> list[User]:
        """The step's people, each once, in the order of its targets; deleted targets are nobody."""
        found: dict[User, None] = {}
        for target in step["targets"]:
            found |= dict.fromkeys(self._people.get((target["kind"], target["id"]), []))
        return list(found)
