"""“Who is on call in the next two weeks?”, in the admin."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from unfold.decorators import action

from openalert.admin_ask import page_about

from . import coverage, oncall, queries
from .models import Schedule

AHEAD = timedelta(days=14)


class ScheduleActions(ModelAdmin):
    actions_detail = ("on_call",)

    @action(description="Who is on call", url_path="on-call", permissions=["view"])
    def on_call(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The shifts of the next 14 days with the gaps between them, on the schedule's clocks."""
        found = self.get_object(request, object_id)
        if found is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        start = timezone.now()
        end = start + AHEAD
        rows = Schedule.objects.filter(pk=found.pk).select_related("team")
        schedule = queries.with_rotation(rows, start=start, end=end).get()
        return page_about(
            self,
            request,
            schedule,
            "admin/teams/schedule/on_call.html",
            title=f"Who is on call: {schedule}",
            days=AHEAD.days,
            table={"headers": ["From", "Until", "On call", "By"], "rows": list(_rows(schedule, start, end))},
            findings=[_told(schedule, finding) for finding in coverage.check_schedule(schedule, at=start)],
            horizon=coverage.HORIZON.days,
        )


def _rows(schedule: Schedule, start: datetime, end: datetime) -> Iterator[list[str]]:
    reached = start
    for shift in oncall.shifts(schedule, start, end):
        if shift.starts_at > reached:
            yield _row(schedule, reached, shift.starts_at, "Nobody", "gap")
        by = shift.layer.name if shift.source == "rotation" and shift.layer else shift.source
        yield _row(schedule, shift.starts_at, shift.ends_at, shift.names, by)
        reached = shift.ends_at
    if reached < end:
        yield _row(schedule, reached, end, "Nobody", "gap")


def _row(schedule: Schedule, begins: datetime, ends: datetime, who: str, by: str) -> list[str]:
    return [_time(schedule, begins), _time(schedule, ends), who, by]


def _told(schedule: Schedule, finding: coverage.Finding) -> str:
    when = f"{_time(schedule, finding.starts_at)}: " if finding.starts_at else ""
    return f"{when}{finding.detail}"


def _time(schedule: Schedule, at: datetime) -> str:
    return date_format(at.astimezone(schedule.tzinfo), "D j M, H:i")
