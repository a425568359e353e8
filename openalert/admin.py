"""Others' tables in the admin, with the look of ours."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from rest_framework_simplejwt.token_blacklist import admin as tokens
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from openalert import audit

from .admin_tools import ModelAdmin, RecordAdmin


class PeriodicTaskAdmin(beat.PeriodicTaskAdmin):
    """Its own actions write past the audit log."""

    actions = ("enable_tasks", "disable_tasks", "run_tasks")

    @admin.action(description="Switch on", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Switch off", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, enabled=False, last_run_at=None)

    def _switch(self, request: HttpRequest, tasks: QuerySet[PeriodicTask], **values: object) -> None:
        count = audit.update(tasks, **values)
        PeriodicTasks.update_changed()
        self.message_user(request, f"{count} tasks are switched {'on' if values['enabled'] else 'off'}.")


for model, page in (
    (PeriodicTask, PeriodicTaskAdmin),
    (CrontabSchedule, beat.CrontabScheduleAdmin),
    (ClockedSchedule, beat.ClockedScheduleAdmin),
    (IntervalSchedule, beat.IntervalScheduleAdmin),
    (SolarSchedule, beat.SolarScheduleAdmin),
    (BlacklistedToken, tokens.BlacklistedTokenAdmin),
    (OutstandingToken, tokens.OutstandingTokenAdmin),
):
    admin.site.unregister(model)
    base = RecordAdmin if model is OutstandingToken else ModelAdmin
    admin.site.register(model, type(page.__name__, (page, base), {}))
