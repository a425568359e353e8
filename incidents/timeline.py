"""The incident's story: the one source of pages, live rooms, chat posts and outgoing webhooks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.utils import timezone
from django.utils.text import Truncator

from openalert import audit, sql
from openalert.words import listed
from teams.models import User

from . import rooms
from .enums import ActionItemState, ActorKind, Kind, LinkKind, PostmortemState, Severity, UpdateState
from .models import Incident, TimelineEntry


@dataclass(frozen=True)
class Actor:
    """Who did something, and through which door (`via`: web, api, admin, email, …)."""

    kind: ActorKind
    user: User | None = None
    name: str = ""
    via: str = ""

    @classmethod
    def person(cls, user: User, *, via: str) -> "Actor":
        return cls(ActorKind.USER, user=user, name=str(user), via=via)

    @classmethod
    def integration(cls, name: str, *, via: str) -> "Actor":
        return cls(ActorKind.INTEGRATION, name=name, via=via)


SYSTEM = Actor(ActorKind.SYSTEM, name="OpenAlert")


def entry(
    incident: Incident, kind: Kind, *, actor: Actor = SYSTEM, at: datetime | None = None, **data: Any
) -> TimelineEntry:
    """An entry that is not written yet; `data` is JSON-able and has what `sentence` shows."""
    return TimelineEntry(
        incident=incident,
        kind=kind,
        at=at or timezone.now(),
        actor_kind=actor.kind,
        actor=actor.user,
        actor_name=actor.name[:160],
        via=actor.via,
        data=data,
    )


def record_all(entries: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """Write the entries in one statement and publish them to their rooms on commit."""
    written = list(entries)
    sql.insert(written)
    _audit(written)
    rooms.publish_entries(written)
    return written


def _audit(entries: Iterable[TimelineEntry]) -> None:
    """What people did goes into the audit log, too: it says from where, and nobody can change it."""
    by_people = [entry for entry in entries if entry.actor_kind == ActorKind.USER]
    if not by_people:
        return
    address = audit.current().address
    audit.record_all(
        audit.action_on(
            f"incident_{entry.kind}",
            entry.incident,
            by=audit.Source("user", entry.actor_id, entry.actor_name, entry.via, address),
            data=entry.data,
        )
        for entry in by_people
    )


def record(
    incident: Incident, kind: Kind, *, actor: Actor = SYSTEM, at: datetime | None = None, **data: Any
) -> TimelineEntry:
    """Write one entry and publish it to the incident's, service's and team's rooms on commit."""
    return record_all([entry(incident, kind, actor=actor, at=at, **data)])[0]


def sentence(entry: TimelineEntry) -> str:
    """The entry in words, as plain text: “Ana Ruiz acknowledged”. Instants are told in the active time zone."""
    return SENTENCES[Kind(entry.kind)](entry.actor_name or "Somebody", entry.data)


@dataclass(frozen=True)
class Line:
    """A line of the story as a page tells it: the door a person came in by, and what they wrote."""

    kind: str
    at: datetime
    via: str
    text: str
    note: str = ""
    numbers: Sequence[int] = ()  # of other incidents that it tells of


def lines(newest_first: Iterable[TimelineEntry]) -> list[Line]:
    """The story for people, newest first: pages that were sent one after the other are one line."""
    told: list[Line] = []
    for kind, run in groupby(newest_first, key=lambda entry: entry.kind):
        entries = list(run)
        if kind == Kind.PAGE_SENT:
            told.append(Line(kind, entries[0].at, "", _pages(reversed(entries))))
        else:
            told += [
                # An integration is a door by itself.
                Line(
                    kind,
                    entry.at,
                    entry.via if entry.actor_kind == ActorKind.USER else "",
                    sentence(entry),
                    entry.data.get("text", ""),
                    entry.data.get("numbers", ()),
                )
                for entry in entries
            ]
    return told


def _pages(entries: Iterable[TimelineEntry]) -> str:
    channels: dict[str, list[str]] = {}
    for entry in entries:
        channels.setdefault(entry.data["user"], []).append(_channel(entry.data))
    return "Paged " + ", ".join(f"{user} {listed(by)}" for user, by in channels.items())


def _channel(data: dict[str, Any]) -> str:
    bundle = data.get("bundle", 1)
    together = f" (in one message with {bundle - 1} other page{'' if bundle == 2 else 's'})"
    return f"{data['channel']}{together if bundle > 1 else ''}"


def _alerts(data: dict[str, Any]) -> str:
    count, titles = data.get("count", 1), data.get("titles", [])
    named = ", ".join(f"“{Truncator(title).chars(80)}”" for title in titles)
    more = count - len(titles)
    if data.get("among_others") and named:
        return f"{named} and others"
    return f"{named} and {more} more" if more > 0 and named else named or f"{count} alerts"


def _step(who: str, data: dict[str, Any]) -> str:
    again = f" (round {data['loop'] + 1})" if data.get("loop") else ""
    quiet = f", with low urgency: in maintenance ({data['quiet']})" if data.get("quiet") else ""
    return f"Step {data['step'] + 1}{again}: paging {listed(data.get('people', [])) or 'nobody'}{quiet}"


def _snoozed(who: str, data: dict[str, Any]) -> str:
    until = timezone.localtime(datetime.fromisoformat(data["until"]))
    return f"{who} snoozed it until {until:%-d %b %H:%M %Z}"


def _expired(who: str, data: dict[str, Any]) -> str:
    whose = f"{data['user']}’s acknowledgement" if data["user"] else "The acknowledgement"
    return f"{whose} ran out after {data['minutes']} minutes: paging goes on"


def _waits(who: str, data: dict[str, Any]) -> str:
    until = f"{timezone.localtime(datetime.fromisoformat(data['until'])):%-d %b %H:%M %Z}"
    if data["reason"] == "maintenance":
        return f"In maintenance ({data['words']}): nobody is paged until {until}"
    return f"It is not urgent: nobody is paged until {data['words']} begin, {until}"


def _exhausted(who: str, data: dict[str, Any]) -> str:
    told = listed(data.get("told", []))
    end = f"Nobody answered: {data['policy']} has ended and nobody else will be paged"
    return f"{end}. {told} {'is' if len(data['told']) == 1 else 'are'} told so" if told else end


def _numbers(data: dict[str, Any]) -> str:
    return listed([f"#{number}" for number in data["numbers"]])


def _upstream(who: str, data: dict[str, Any]) -> str:
    verb = "is" if len(data["numbers"]) == 1 else "are"
    return (
        f"{data['dependent']} depends on {listed(data['services'])}, where {_numbers(data)} {verb} unresolved"
    )


def _severity(who: str, data: dict[str, Any]) -> str:
    before, after = Severity(data["before"]), Severity(data["after"])
    verb = "raised" if after.rank < before.rank else "lowered"
    return f"{who} {verb} the severity from {before.label.lower()} to {after.label.lower()}"


def _linked(who: str, data: dict[str, Any]) -> str:
    """`is_other`: the entry is in the timeline of the incident that the link leads to."""
    kind = LinkKind(data["link"])
    words = kind.inverse if data["is_other"] else str(kind.label)
    return f"{words} {_numbers(data)}"


def _count(data: dict[str, Any]) -> str:
    return "1 alert" if data["count"] == 1 else f"{data['count']} alerts"


def _role_assigned(who: str, data: dict[str, Any]) -> str:
    after = f", after {data['before']}" if data["before"] else ""
    if data["to"] == who:
        return f"{who} took on {data['role']}{after}"
    return f"{who} made {data['to']} {data['role']}{after}"


def _task_added(who: str, data: dict[str, Any]) -> str:
    return f"{who} added the task “{data['task']}”" + (f" for {data['to']}" if data["to"] else "")


SENTENCES: dict[Kind, Callable[[str, dict[str, Any]], str]] = {
    Kind.OPENED: lambda who, data: f"{who} opened the incident",
    Kind.ALERT_ADDED: lambda who, data: f"{who} sent {_alerts(data)}",
    Kind.ALERT_REFIRED: lambda who, data: f"{who}: {_alerts(data)} fired again",
    Kind.ALERT_RESOLVED: lambda who, data: f"{who}: {_alerts(data)} resolved",
    Kind.FLAPPING: lambda who, data: (
        f"It comes and goes: it has ended {data['ends']} times within an hour. The incident stays open until it has "
        f"been quiet for {data['quiet_minutes']} minutes"
    ),
    Kind.ACKNOWLEDGED: lambda who, data: f"{who} acknowledged",
    Kind.UNACKNOWLEDGED: lambda who, data: f"{who} put it back to open",
    Kind.ACKNOWLEDGEMENT_EXPIRED: _expired,
    Kind.SNOOZED: _snoozed,
    Kind.WOKEN: lambda who, data: "The snooze ended: paging starts again",
    Kind.RESOLVED: lambda who, data: f"{who} resolved the incident",
    Kind.REOPENED: lambda who, data: f"{who} reopened the incident",
    Kind.MERGED_INTO: lambda who, data: f"{who} merged it into {_numbers(data)}",
    Kind.MERGED: lambda who, data: f"{who} merged {_numbers(data)} into it",
    Kind.UNMERGED: lambda who, data: f"{who} took it out of {_numbers(data)} again, with {_count(data)}",
    Kind.UNMERGED_FROM: lambda who, data: f"{who} took {_numbers(data)} out of it again, with {_count(data)}",
    Kind.SPLIT_OFF: lambda who, data: f"{who} split {_alerts(data)} off into {_numbers(data)}",
    Kind.SPLIT_FROM: lambda who, data: f"{who} split it off from {_numbers(data)} with {_alerts(data)}",
    Kind.LINKED: lambda who, data: f"{who} linked it: {_linked(who, data)}",
    Kind.UNLINKED: lambda who, data: f"{who} took a link away: {_linked(who, data)}",
    Kind.UPSTREAM_OPEN: _upstream,
    Kind.SEVERITY_CHANGED: _severity,
    Kind.NOTE: lambda who, data: (
        f"{who} wrote a note" + (f" for {listed(data['mentions'])}" if data.get("mentions") else "")
    ),
    Kind.SUMMARY_CHANGED: lambda who, data: (
        f"{who} pinned a summary" if data.get("text") else f"{who} took the summary away"
    ),
    Kind.STATUS_UPDATE: lambda who, data: f"{who} told subscribers: {UpdateState(data['state']).label}",
    Kind.ROLE_ASSIGNED: _role_assigned,
    Kind.ROLE_FREED: lambda who, data: f"{who} took {data['role']} from {data['before']}",
    Kind.TASK_ADDED: _task_added,
    Kind.TASK_CHANGED: lambda who, data: (
        f"{who} changed the task “{data['task']}”: {data['to'] or 'nobody'} has it"
    ),
    Kind.TASK_DONE: lambda who, data: f"{who} finished the task “{data['task']}”",
    Kind.TASK_REOPENED: lambda who, data: f"{who} put the task “{data['task']}” back",
    Kind.TASK_REMOVED: lambda who, data: f"{who} removed the task “{data['task']}”",
    Kind.POSTMORTEM_STARTED: lambda who, data: f"{who} started the postmortem",
    Kind.POSTMORTEM_MOVED: lambda who, data: (
        f"{who} moved the postmortem to {PostmortemState(data['state']).label.lower()}"
    ),
    Kind.ACTION_ITEM_ADDED: lambda who, data: f"{who} added the action item “{data['item']}”",
    Kind.ACTION_ITEM_MOVED: lambda who, data: (
        f"{who} moved the action item “{data['item']}” to {ActionItemState(data['state']).label.lower()}"
    ),
    Kind.REASSIGNED: lambda who, data: f"{who} reassigned it to {data['to']}",
    Kind.ESCALATION_STARTED: lambda who, data: f"Escalation started: {data['policy']}",
    Kind.REROUTED: lambda who, data: (
        f"It got worse: {data['policy']} is in charge instead of {data['before']}"
    ),
    Kind.PAGING_WAITS: _waits,
    Kind.ESCALATED: lambda who, data: f"{who} escalated to the next step",
    Kind.STEP_REACHED: _step,
    Kind.ESCALATION_EXHAUSTED: _exhausted,
    Kind.NOBODY_TO_PAGE: lambda who, data: f"Nobody could be paged: {data['reason']}",
    Kind.PAGE_SENT: lambda who, data: f"Paged {data['user']} {_channel(data)}",
    Kind.PAGE_RECEIPT: lambda who, data: f"The page to {data['user']} {data['channel']}: {data['receipt']}",
    Kind.PAGE_FAILED: lambda who, data: f"Could not page {data['user']} {data['channel']}: {data['error']}",
}
