"""Who is on call, said slowly: a model of the rules that looks at one instant at a time and walks the calendar day by day."""

from datetime import UTC, datetime, time, timedelta
from functools import cache

import holidays

DAY = timedelta(days=1)
EARLIER = timedelta(days=400)


def utc(local, zone):
    """A wall time that is skipped counts with the offset from before; of one that comes twice, the first counts."""
    return local.replace(tzinfo=zone).astimezone(UTC)


def people_at(schedule, at):
    users = []
    for layer in sorted(schedule.rows.layers, key=lambda layer: -layer.position):
        if not users and counts(layer, at):
            users = [user for user in place_at(layer, at) if active(user, at)]
    newest_first = sorted(schedule.rows.overrides, key=lambda override: override.created_at, reverse=True)
    held = [o for o in newest_first if o.starts_at <= at < o.ends_at and active(o.user, at)]
    users = overridden(users, held)
    if not users:
        users = [
            row.user
            for row in schedule.rows.fallbacks
            if row.in_force_at <= at
            and (row.replaced_at is None or at < row.replaced_at)
            and active(row.user, at)
        ]
    return users


def active(user, at):
    return user.is_active or (user.inactive_since_at is not None and at < user.inactive_since_at)


def overridden(users, newest_first):
    if not newest_first:
        return users
    newest, *older = newest_first
    if newest.replaces is None:
        return [newest.user]
    below = overridden(users, older)
    if newest.replaces not in below:
        return below
    return list(dict.fromkeys(newest.user if user == newest.replaces else user for user in below))


def counts(layer, at):
    if at < layer.starts_at or (layer.ends_at and at >= layer.ends_at):
        return False
    if (layer.in_force_at and at < layer.in_force_at) or (layer.replaced_at and at >= layer.replaced_at):
        return False
    holiday = is_holiday(layer, at)
    if layer.on_holidays == "off" and holiday:
        return False
    if layer.on_holidays == "on":
        return holiday or in_a_window(layer, at)
    return not layer.restrictions or in_a_window(layer, at)


def is_holiday(layer, at):
    if layer.on_holidays == "same":
        return False
    known = holidays.country_holidays(layer.holidays_of)
    around = at.astimezone(layer.tzinfo).date()
    days = [around - DAY, around, around + DAY]
    return any(day in known and midnight(day, layer) <= at < midnight(day + DAY, layer) for day in days)


def midnight(day, layer):
    return utc(datetime.combine(day, time()), layer.tzinfo)


def in_a_window(layer, at):
    around = at.astimezone(layer.tzinfo).date()
    return any(
        begins <= at < ends
        for window in layer.restrictions
        for back in range(-1, 10)
        for begins, ends in window_on(str(window), around - back * DAY, layer.tzinfo)
    )


@cache
def window_on(written, day, zone):
    window = eval(written)
    opens, closes = time.fromisoformat(window["from"]), time.fromisoformat(window["to"])
    if "from_day" in window:
        if day.isoweekday() != window["from_day"]:
            return []
        last = day
        while last.isoweekday() != window["to_day"] or datetime.combine(last, closes) <= datetime.combine(
            day, opens
        ):
            last += DAY
    else:
        if day.isoweekday() not in window.get("days", range(1, 8)):
            return []
        last = day if closes > opens else day + DAY
    return [(utc(datetime.combine(day, opens), zone), utc(datetime.combine(last, closes), zone))]


def place_at(layer, at):
    places = layer.places
    if not places:
        return []
    handed_over = sum(1 for hand_over in hand_overs(layer) if hand_over <= at)
    return places[max(0, handed_over - 1) % len(places)]


def hand_overs(layer):
    """All from the last one at or before the start, for some two years."""
    if not hasattr(layer, "known_hand_overs"):
        layer.known_hand_overs = list(find_hand_overs(layer))
    return layer.known_hand_overs


def find_hand_overs(layer):
    zone = layer.tzinfo
    start = layer.starts_at.astimezone(zone).replace(tzinfo=None)
    at = layer.hand_over_time if layer.hand_over_time is not None else start.time()
    if layer.rotation in ("hourly", "custom"):
        step = (
            timedelta(hours=layer.turn_length)
            if layer.rotation == "hourly"
            else timedelta(minutes=layer.turn_length)
        )
        slot = layer.starts_at
        if layer.hand_over_time is not None:
            day = start.date()
            while datetime.combine(day, at) > start:
                day -= DAY
            slot = min(utc(datetime.combine(day, at), zone), layer.starts_at)
        while slot < layer.starts_at + EARLIER:
            yield slot
            slot += step
        return
    slots = []
    day = start.date() - EARLIER
    while day < start.date() + EARLIER:
        if is_slot(layer, day, start):
            slots.append(datetime.combine(day, at))
        day += DAY
    before = [slot for slot in slots if slot <= start]
    first = len(before) - 1
    yield from (utc(slot, zone) for slot in slots[first :: layer.turn_length])


def is_slot(layer, day, start):
    if layer.rotation == "daily":
        return True
    if layer.rotation == "weekly":
        return day.isoweekday() == (layer.hand_over_day or start.isoweekday())
    wanted = layer.hand_over_day or start.day
    is_last = (day + DAY).day == 1
    return day.day == wanted or (is_last and day.day < wanted)
