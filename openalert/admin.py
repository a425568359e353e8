"""Others' tables in the admin, with the look of ours."""

from django.contrib import admin
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework_simplejwt.token_blacklist import admin as tokens
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from .admin_tools import ModelAdmin, RecordAdmin

for model, page in (
    (PeriodicTask, beat.PeriodicTaskAdmin),
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
