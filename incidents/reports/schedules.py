"""When reports go out: every team has a daily one and a weekly one, each with a periodic task of Celery beat.

The task is the truth about the time, its zone, and whether the report is sent at all; administrators edit it.
"""

import json

from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from incidents.enums import ReportKind
from incidents.models import ReportSchedule
from teams.models import Team

TASK = "incidents.tasks.send_report"
HOUR = "6"
MONDAY = "1"
USUAL_ZONE = "America/New_York"
# What a team has that nobody has asked for its zone.
NO_ZONE = "UTC"


def zone_of(team: Team) -> str:
    """The team's time zone; America/New_York for one that was never given any."""
    return USUAL_ZONE if team.time_zone == NO_ZONE else team.time_zone


@transaction.atomic
def add_missing() -> int:
    """Give every team the reports that it lacks, at 06:00 in its time zone, to its managers. Returns how many.

    Safe from any number of workers: they take turns at a team.
    """
    added = 0
    complete = ReportSchedule.objects.values("team")
    for kind in ReportKind:
        teams = Team.objects.exclude(pk__in=complete.filter(kind=kind))
        for team in teams.select_for_update(skip_locked=True, no_key=True):
            if not ReportSchedule.objects.filter(team=team, kind=kind).exists():
                add(team, kind)
                added += 1
    return added


@transaction.atomic
def add(team: Team, kind: ReportKind, **fields: object) -> ReportSchedule:
    """A report of a team that has none of this kind yet; for IntegrityError see the constraint."""
    schedule = ReportSchedule(team=team, kind=kind, **fields)
    schedule.task = PeriodicTask.objects.create(
        name=f"{schedule} ({schedule.pk})",
        task=TASK,
        crontab=_crontab(zone_of(team), kind),
        args=json.dumps([str(schedule.pk)]),
        description="Edit the crontab for another time or zone; switch it off for no report at all.",
    )
    schedule.save()
    return schedule


def remove(schedule: ReportSchedule) -> None:
    """With its task. A team without one gets a new one: to have none, switch it off instead."""
    task = schedule.task
    schedule.delete()
    task.delete()


def _crontab(zone: str, kind: ReportKind) -> CrontabSchedule:
    found, _ = CrontabSchedule.objects.get_or_create(
        minute="0",
        hour=HOUR,
        day_of_week=MONDAY if kind == ReportKind.WEEKLY else "*",
        day_of_month="*",
        month_of_year="*",
        timezone=zone,
    )
    return found
