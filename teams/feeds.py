"""Shifts for calendar programs (iCal): a private address for a person's shifts, or for a schedule's.

The address holds a secret of which we keep a hash: it is shown once, and made anew or revoked at any time. It works as long
as the person may see what it shows. Source: RFC 5545.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import icalendar
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from openalert import audit

from . import oncall
from .models import CalendarFeed, Schedule, User
from .oncall import Shift
from .queries import with_rotation

BEFORE = timedelta(days=31)
AFTER = timedelta(days=180)
READ_NOTED_EVERY = timedelta(minutes=10)


@transaction.atomic
def open_feed(*, user: User, schedule: Schedule | None) -> tuple[CalendarFeed, str]:
    """A person's feed of a schedule that they may see, or of their own shifts (None), and its secret, which is only known
    now. One that they had before is void."""
    CalendarFeed.objects.filter(user=user, schedule=schedule).delete()
    token = secrets.token_urlsafe(32)
    feed = CalendarFeed.objects.create(
        user=user, schedule=schedule, token_hash=CalendarFeed.hash_token(token)
    )
    audit.secret_shown(feed, "calendar feed's address")
    return feed, token


def address(token: str) -> str:
    return settings.SITE_URL + reverse("calendar-feed", args=[token])


def revoke(*, feed: CalendarFeed) -> None:
    """Its address is void. Repeating it changes nothing."""
    CalendarFeed.objects.filter(pk=feed.pk).delete()


def feed_for(token: str) -> CalendarFeed | None:
    """The feed that a secret opens, if its owner may still see what it shows."""
    feeds = CalendarFeed.objects.select_related("user", "schedule")
    feed = feeds.filter(token_hash=CalendarFeed.hash_token(token), user__is_active=True).first()
    if feed is None:
        return None
    if feed.schedule_id and not Schedule.objects.visible_to(feed.user).filter(pk=feed.schedule_id).exists():
        return None
    now = timezone.now()
    if feed.read_at is None or feed.read_at < now - READ_NOTED_EVERY:
        CalendarFeed.objects.filter(pk=feed.pk).update(read_at=now)
    return feed


def render(feed: CalendarFeed, *, at: datetime) -> bytes:
    """The calendar: from the month before `at` until half a year after."""
    # From a day's beginning on, so that the answer stays the same for a day.
    start = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - BEFORE
    end = start + BEFORE + AFTER
    schedules = Schedule.objects.visible_to(feed.user)
    if feed.schedule_id:
        schedules = schedules.filter(pk=feed.schedule_id)
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//OpenAlert//On call//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", f"On call: {feed.schedule or feed.user}")
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"value": "DURATION"})
    for schedule in with_rotation(schedules, start=start, end=end):
        for shift in oncall.shifts(schedule, start, end):
            if feed.schedule_id or feed.user in shift.users:
                calendar.add_component(_event(schedule, shift, at, is_own=not feed.schedule_id))
    calendar.add_missing_timezones()
    return calendar.to_ical()


def _event(schedule: Schedule, shift: Shift, at: datetime, *, is_own: bool) -> icalendar.Event:
    event = icalendar.Event()
    event.add("uid", _uid(schedule.pk, shift))
    event.add("dtstamp", at.astimezone(UTC).replace(microsecond=0))
    # With the zone's name, so that a calendar program shows the hand-over as the schedule means it.
    event.add("dtstart", shift.starts_at.astimezone(schedule.tzinfo))
    event.add("dtend", shift.ends_at.astimezone(schedule.tzinfo))
    event.add("summary", f"On call: {schedule}" if is_own else f"{shift.names}: {schedule}")
    event.add(
        "description", f"{shift.names}, by {'an ' if shift.source == 'override' else 'the '}{shift.source}"
    )
    event.add("url", settings.SITE_URL + reverse("schedule", args=[schedule.pk]))
    event.add("transp", "TRANSPARENT")
    return event


def _uid(schedule_id: UUID, shift: Shift) -> str:
    """The same for the same people from the same instant on."""
    people = "".join(str(user.pk) for user in shift.users)
    digest = hashlib.sha256(f"{schedule_id}{shift.starts_at:%Y%m%dT%H%M%SZ}{people}".encode()).hexdigest()
    host = settings.SITE_URL.partition("://")[2].partition(":")[0]
    return f"{digest[:32]}@{host}"
