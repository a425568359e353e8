"""Who the targets of a step are, at an instant."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from teams import oncall, queries
from teams.enums import Role
from teams.models import Membership, Schedule, User

from .enums import TargetKind
from .snapshot import Snapshot, Step, Target


class Targets:
    """The people behind the targets of some snapshots, loaded in a fixed number of queries."""

    def __init__(self, snapshots: Iterable[Snapshot]) -> None:
        wanted: dict[str, set[UUID]] = {kind: set() for kind in TargetKind}
        for snapshot in snapshots:
            try:
                named = [(t["kind"], UUID(t["id"])) for step in snapshot["steps"] for t in step["targets"]]
            except (KeyError, TypeError, ValueError):
                continue  # carrying this one out fails, and must not keep the others from their targets
            for kind, identifier in named:
                wanted[kind].add(identifier)
        users = User.objects.filter(is_active=True).in_bulk(wanted[TargetKind.USER])
        self._users = {str(pk): user for pk, user in users.items()}
        schedules = Schedule.objects.filter(pk__in=wanted[TargetKind.SCHEDULE])
        self._schedules = {str(schedule.pk): schedule for schedule in queries.with_rotation(schedules)}
        self._teams: dict[str, list[User]] = {}
        for membership in (
            Membership.objects.filter(team__in=wanted[TargetKind.TEAM], user__is_active=True)
            .exclude(role=Role.OBSERVER)
            .select_related("user")
        ):
            self._teams.setdefault(str(membership.team_id), []).append(membership.user)

    def people(self, step: Step, *, at: datetime) -> list[User]:
        """Whom the step reaches at an instant, each once, in the order of its targets.

        Deleted targets and inactive people are nobody.
        """
        found: dict[User, None] = {}
        for target in step["targets"]:
            found |= dict.fromkeys(self._behind(target, at))
        return list(found)

    def _behind(self, target: Target, at: datetime) -> list[User]:
        identifier = target["id"]
        match target["kind"]:
            case TargetKind.USER:
                return [self._users[identifier]] if identifier in self._users else []
            case TargetKind.SCHEDULE:
                schedule = self._schedules.get(identifier)
                return oncall.on_call(schedule, at) if schedule else []
            case _:
                return self._teams.get(identifier, [])
