"""Calendars elsewhere (iCal) that say who is on call in a layer: fetched now and then, the last good copy kept.

Events of today and the next months become rows, matched to the team's responders by attendee or by what the title says. What
has been is not rewritten: events that are over stay, one that goes on and is no longer in the calendar ends now.

Sources: RFC 5545; the packages icalendar and recurring-ical-events expand repeating events.
"""

import re
import time
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import icalendar
import recurring_ical_events
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from openalert.outward import FetchError, fetch

from .exceptions import CalendarUnreadable
from .models import Calendar, CalendarEvent, User
from .queries import responders_of

EVERY = timedelta(minutes=15)
LONGEST_WAIT = timedelta(hours=2)
AHEAD = timedelta(days=120)
MOST_BYTES = 2 * 1024 * 1024
FETCH_SECONDS = 30.0
READ_SECONDS = 5.0
MOST_EVENTS = 2000
MOST_REPEATING = 200
MOST_OCCURRENCES = 5000
MOST_UNMATCHED = 20
# Repeating by the second would keep us busy for years.
REPEATING = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
TOO_FINE = {"BYSECOND", "BYMINUTE", "BYHOUR"}
EARLIEST_YEAR = 1990


def check_calendar_url(value: str) -> None:
    """Raises ValidationError unless it is an http or https address."""
    try:
        parts = urlsplit(value)
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine:
        raise ValidationError("Give an address that begins with https:// or http://.")


@dataclass(frozen=True)
class Occurrence:
    title: str
    addresses: frozenset[str]  # of attendees and the organizer, in lower case
    starts_at: datetime
    ends_at: datetime


def refresh_due() -> None:
    """Fetch the calendars that are due. Any number may run at once."""
    while calendar := _claim():
        refresh(calendar)


def refresh(calendar: Calendar) -> None:
    """Fetch it and store what it says; when that fails, say so on it and keep what is stored."""
    try:
        body = fetch(calendar.url, most_bytes=MOST_BYTES, seconds=FETCH_SECONDS, accept="text/calendar")
        now = timezone.now()
        found = read(body, zone=calendar.schedule.tzinfo, start=now - timedelta(days=1), end=now + AHEAD)
    except (FetchError, CalendarUnreadable) as error:
        _fail(calendar.pk, error.detail if isinstance(error, CalendarUnreadable) else str(error))
        return
    store(calendar.pk, found)


@transaction.atomic
def _claim() -> Calendar | None:
    now = timezone.now()
    due = Calendar.objects.filter(due_at__lte=now).order_by("due_at")
    calendar = due.select_for_update(skip_locked=True, of=("self",)).select_related("schedule").first()
    if calendar:
        is_used = calendar.layers.filter(replaced_at=None).exists()
        calendar.due_at = now + EVERY if is_used else None
        calendar.save(update_fields=["due_at", "updated_at"])
        if not is_used:
            return _claim()
    return calendar


@transaction.atomic
def _fail(calendar_id: UUID, why: str) -> None:
    calendar = Calendar.objects.select_for_update().get(pk=calendar_id)
    now = timezone.now()
    calendar.failing_since_at = calendar.failing_since_at or now
    calendar.failure = why[:300]
    # Longer and longer, but a calendar that is back is noticed within hours.
    calendar.due_at = now + min(EVERY + (now - calendar.failing_since_at) / 4, LONGEST_WAIT)
    calendar.save()


def read(body: bytes, *, zone: zoneinfo.ZoneInfo, start: datetime, end: datetime) -> list[Occurrence]:
    """The events of a calendar between two instants, repeating ones once for each time. Times without a zone, and whole
    days, are in `zone`. Raises CalendarUnreadable."""
    deadline = time.monotonic() + READ_SECONDS
    calendar = _parse(body)
    found = []
    try:
        occurrences = recurring_ical_events.of(calendar, skip_bad_series=True).after(
            start - timedelta(days=1)
        )
        for event in islice(_until(occurrences, end, zone), MOST_OCCURRENCES + 1):
            if time.monotonic() > deadline:
                raise CalendarUnreadable("Its repeating events take too long to work out.")
            if occurrence := _occurrence(event, zone):
                found.append(occurrence)
    except CalendarUnreadable:
        raise
    except Exception as error:  # whatever the packages make of odd files
        raise CalendarUnreadable("Its events cannot be worked out.") from error
    if len(found) > MOST_OCCURRENCES:
        raise CalendarUnreadable(f"It has more than {MOST_OCCURRENCES} events in the next months.")
    return [one for one in found if one.starts_at < end and one.ends_at > start]


def _parse(body: bytes) -> icalendar.Calendar:
    try:
        calendar = icalendar.Calendar.from_ical(body)
    except Exception as error:  # whatever the package makes of odd files
        raise CalendarUnreadable("It is no calendar (iCal).") from error
    if not isinstance(calendar, icalendar.Calendar):
        raise CalendarUnreadable("It is no calendar (iCal).")
    events = list(calendar.walk("VEVENT"))
    if len(events) > MOST_EVENTS:
        raise CalendarUnreadable(f"It has more than {MOST_EVENTS} events.")
    if sum(1 for event in events if "RRULE" in event) > MOST_REPEATING:
        raise CalendarUnreadable(f"It has more than {MOST_REPEATING} repeating events.")
    for event in events:
        _require_sane(event)
    calendar.subcomponents = [
        part for part in calendar.subcomponents if part.name != "VEVENT" or "DTSTART" in part
    ]
    return calendar


def _require_sane(event: Any) -> None:
    rules = [rule for name in ("RRULE", "EXRULE") for rule in _listed(event.get(name))]
    for rule in rules:
        if not hasattr(rule, "get"):
            raise CalendarUnreadable("An event repeats in a way that we do not know.")
        frequencies = {str(one).upper() for one in _listed(rule.get("FREQ"))}
        if not frequencies <= REPEATING or any(name in rule for name in TOO_FINE):
            raise CalendarUnreadable("An event repeats more often than daily.")
    begins = getattr(event.get("DTSTART"), "dt", None)
    if rules and (begins is None or begins.year < EARLIEST_YEAR):
        raise CalendarUnreadable(f"An event repeats since before {EARLIEST_YEAR}.")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _until(events: Iterable[Any], end: datetime, zone: zoneinfo.ZoneInfo) -> Iterator[Any]:
    """They come in order of their beginning, without an end."""
    for event in events:
        if _instant(event["DTSTART"].dt, zone) >= end:
            return
        yield event


def _occurrence(event: Any, zone: zoneinfo.ZoneInfo) -> Occurrence | None:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return None
    starts_at, ends_at = _instant(event.start, zone), _instant(event.end, zone)
    if ends_at <= starts_at:
        return None
    people = [
        *_listed(event.get("ATTENDEE")),
        *([] if "ATTENDEE" in event else _listed(event.get("ORGANIZER"))),
    ]
    addresses = {re.sub(r"(?i)^mailto:", "", str(person)).strip().lower() for person in people}
    return Occurrence(str(event.get("SUMMARY", "")).strip()[:200], frozenset(addresses), starts_at, ends_at)


def _instant(value: date, zone: zoneinfo.ZoneInfo) -> datetime:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def people_of(occurrence: Occurrence, responders: Iterable[User]) -> list[User]:
    """Whom the event names: by an attendee's address, else by an address or a whole name in its title."""
    responders = list(responders)
    attending = [user for user in responders if user.email.lower() in occurrence.addresses]
    if attending:
        return attending
    title = occurrence.title.lower()
    return [
        user for user in responders if any(_is_in(word, title) for word in (user.email, user.name) if word)
    ]


def _is_in(words: str, title: str) -> bool:
    return re.search(rf"(?<![\w.@-]){re.escape(words.lower())}(?![\w@-])", title) is not None


@transaction.atomic
def store(calendar_id: UUID, found: Iterable[Occurrence]) -> None:
    """Make the calendar's events those that were found, from now on."""
    calendar = (
        Calendar.objects.select_for_update(of=("self",)).select_related("schedule__team").get(pk=calendar_id)
    )
    now = timezone.now()
    responders = list(responders_of(calendar.schedule.team))
    wanted: dict[tuple[UUID, datetime, datetime], None] = {}
    unmatched: dict[str, None] = {}
    for occurrence in found:
        people = people_of(occurrence, responders)
        if not people and occurrence.ends_at > now:
            unmatched.setdefault(occurrence.title or "(without a title)")
        for user in people:
            wanted.setdefault((user.pk, occurrence.starts_at, occurrence.ends_at))
    _replace(calendar, wanted, now)
    calendar.unmatched = list(unmatched)[:MOST_UNMATCHED]
    calendar.fetched_at, calendar.failing_since_at, calendar.failure = now, None, ""
    calendar.save()


def _replace(calendar: Calendar, wanted: dict[tuple[UUID, datetime, datetime], None], now: datetime) -> None:
    going_on: set[tuple[UUID, datetime]] = set()
    for row in calendar.events.filter(ends_at__gt=now):
        if row.starts_at >= now:
            row.delete()
            continue
        ends_at = next(
            (ends for user, begins, ends in wanted if user == row.user_id and begins <= now < ends), now
        )
        if ends_at != row.ends_at:
            row.ends_at = ends_at
            row.save(update_fields=["ends_at", "updated_at"])
        if ends_at > now:
            going_on.add((row.user_id, ends_at))
    CalendarEvent.objects.bulk_create(
        CalendarEvent(calendar=calendar, user_id=user, starts_at=max(begins, now), ends_at=ends)
        for user, begins, ends in wanted
        if ends > now and not (begins <= now and (user, ends) in going_on)
    )
