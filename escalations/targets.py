"""Who the targets of a step are, at an instant."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from teams import oncall, queries
from teams.enums import Role
from teams.models import Membership, Schedule, User

from .enums import TargetKind
from .snapshot import Snapshot, Step, Target
from .turns import Turns


class Targets:
    """The people behind the targets of some snapshots, loaded in a fixed number of queries.

    With `is_taking`, asking for people takes the turns of round robins, which `save_turns` writes; without it they
    are only taken in memory, to look ahead.
    """

    def __init__(self, snapshots: Iterable[Snapshot], *, is_taking: bool = False) -> None:
        wanted: dict[str, set[UUID]] = {"user": set(), "schedule": set(), "team": set()}
        turns: set[str] = set()
        for snapshot in snapshots:
            try:
                targets = [target for step in snapshot["steps"] for target in step["targets"]]
                named = [(TargetKind(target["kind"]).field, UUID(target["id"])) for target in targets]
                turns |= {target["turn"] for target in targets if "turn" in target}
            except (KeyError, TypeError, ValueError):
                continue  # carrying this one out fails, and must not keep the others from their targets
            for field, identifier in named:
                wanted[field].add(identifier)
        users = User.objects.filter(is_active=True).in_bulk(wanted["user"])
        self._users = {str(pk): user for pk, user in users.items()}
        schedules = Schedule.objects.filter(pk__in=wanted["schedule"])
        self._schedules = {str(schedule.pk): schedule for schedule in queries.with_rotation(schedules)}
        self._teams: dict[str, list[User]] = {}
        self._managers: dict[str, list[User]] = {}
        for membership in (
            Membership.objects.filter(team__in=wanted["team"], user__is_active=True)
            .exclude(role=Role.OBSERVER)
            .select_related("user")
        ):
            self._teams.setdefault(str(membership.team_id), []).append(membership.user)
            if membership.role == Role.MANAGER:
                self._managers.setdefault(str(membership.team_id), []).append(membership.user)
        self._turns = Turns(turns, is_taking=is_taking)

    def people(self, step: Step, *, at: datetime) -> list[User]:
        """Whom the step reaches at an instant, each once, in the order of its targets.

        Deleted targets and inactive people are nobody.
        """
        found: dict[User, None] = {}
        for target in step["targets"]:
            found |= dict.fromkeys(self._behind(target, at))
        return list(found)

    def save_turns(self) -> None:
        self._turns.save()

    def _behind(self, target: Target, at: datetime) -> list[User]:
        identifier = target["id"]
        match target["kind"]:
            case TargetKind.USER:
                return [self._users[identifier]] if identifier in self._users else []
            case TargetKind.SCHEDULE:
                schedule = self._schedules.get(identifier)
                return oncall.on_call(schedule, at) if schedule else []
            case TargetKind.ROUND_ROBIN:
                schedule = self._schedules.get(identifier)
                people = oncall.participants_of(schedule, at) if schedule else []
                return self._turns.take(target["turn"], people)
            case TargetKind.MANAGER:
                return self._managers.get(identifier, [])
            case _:
                return self._teams.get(identifier, [])
