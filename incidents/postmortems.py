"""Postmortems: one for an incident, in Markdown, written by several people.

Nothing that was saved is lost: whoever saves says which version they began with, and one that somebody else has changed
meanwhile is not written over. What is written over by purpose stays as a revision.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from . import lifecycle, timeline
from .action_items import items_of
from .enums import ActionItemState, Kind, PostmortemState
from .exceptions import PostmortemChanged, PostmortemPublished
from .models import ActionItem, Incident, Postmortem, PostmortemRevision, TimelineEntry
from .response_settings import settings_for
from .timeline import Actor

# Saved by one person in a row, and not much shorter: one revision.
ONE_REVISION = timedelta(minutes=5)
MUCH_SHORTER = 200
MOST_ENTRIES = 500
TIMELINE = "# Timeline"
# Entries that say nothing to whoever reads it later.
TECHNICAL = (Kind.PAGE_SENT, Kind.PAGE_RECEIPT, Kind.STEP_REACHED, Kind.TASK_CHANGED, Kind.ALERT_REFIRED)


@transaction.atomic
def start(*, incident_id: UUID, actor: Actor) -> Postmortem:
    """Begin with the team's template. One that is there already stays as it is."""
    incident = lifecycle.lock_one(incident_id)
    there = Postmortem.objects.filter(incident=incident).first()
    if there:
        there.incident = incident
        return there
    now = timezone.now()
    body = fill(settings_for(incident.service.team).template, incident)
    postmortem = Postmortem.objects.create(incident=incident, body=body, edited_by=actor.user, edited_at=now)
    _keep(postmortem, actor, now)
    timeline.record(incident, Kind.POSTMORTEM_STARTED, actor=actor)
    return postmortem


def fill(template: str, incident: Incident) -> str:
    """Put what is known in place of {title}, {number}, {service}, {severity}, {opened}, {resolved}, {duration}, {summary}
    and {timeline}; other braces stay as they are."""
    zone = incident.service.team.tzinfo
    resolved = incident.resolved_at
    known = {
        "title": incident.title,
        "number": f"#{incident.number}",
        "service": incident.service.name,
        "severity": str(incident.get_severity_display()),
        "opened": f"{timezone.localtime(incident.opened_at, zone):%-d %b %Y, %H:%M %Z}",
        "resolved": f"{timezone.localtime(resolved, zone):%-d %b %Y, %H:%M %Z}" if resolved else "now",
        "duration": span_words((resolved or timezone.now()) - incident.opened_at),
        "summary": incident.summary,
        "timeline": "",
    }
    for name, value in known.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def span_words(span: timedelta) -> str:
    """“2 h 5 min”"""
    minutes = max(1, round(span.total_seconds() / 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    parts = [(days, "d"), (hours, "h"), (minutes % 60, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"


@transaction.atomic
def save(*, incident_id: UUID, body: str, base_version: int, actor: Actor) -> Postmortem:
    """Write a new text over the one that `base_version` was. Repeating it changes nothing.

    Raises PostmortemChanged when somebody has saved another text meanwhile, and PostmortemPublished.
    """
    postmortem = _lock(incident_id)
    body = body.replace("\r\n", "\n")
    if postmortem.body == body:
        return postmortem
    if postmortem.state == PostmortemState.PUBLISHED:
        raise PostmortemPublished
    if postmortem.version != base_version:
        by = str(postmortem.edited_by) if postmortem.edited_by else "Somebody"
        raise PostmortemChanged(version=postmortem.version, by=by)
    now = timezone.now()
    postmortem.body, postmortem.version = body, postmortem.version + 1
    postmortem.edited_by, postmortem.edited_at = actor.user, now
    postmortem.save()
    _keep(postmortem, actor, now)
    return postmortem


def import_entries(
    *, incident_id: UUID, body: str, base_version: int, entry_ids: Iterable[int], actor: Actor
) -> Postmortem:
    """Save `body` with the chosen entries of the timeline in it: below the heading “Timeline”, else at the end. Raises what
    `save` raises."""
    with transaction.atomic():
        incident = lifecycle.lock_one(incident_id)
        entries = incident.timeline.filter(pk__in=list(entry_ids)[:MOST_ENTRIES]).order_by("at", "pk")
        told = as_list(entries, incident)
        return save(
            incident_id=incident_id, body=with_timeline(body, told), base_version=base_version, actor=actor
        )


def as_list(entries: Iterable[TimelineEntry], incident: Incident) -> str:
    """Markdown, a line for each entry by the team's clock; notes as quotations."""
    lines = []
    zone = incident.service.team.tzinfo
    with timezone.override(zone):
        for entry in entries:
            lines.append(f"- **{timezone.localtime(entry.at):%-d %b, %H:%M}** {timeline.sentence(entry)}")
            lines += [f"  > {line}" for line in str(entry.data.get("text", "")).splitlines()]
    return "\n".join(lines)


def with_timeline(body: str, told: str) -> str:
    if not told:
        return body
    lines = body.replace("\r\n", "\n").split("\n")
    at = next(
        (
            n
            for n, line in enumerate(lines)
            if line.lstrip("#").strip().casefold() == "timeline" and "#" in line
        ),
        None,
    )
    if at is None:
        return f"{body.rstrip()}\n\n{TIMELINE}\n\n{told}\n"
    # After what is there already, before the next heading.
    end = next((n for n in range(at + 1, len(lines)) if lines[n].startswith("#")), len(lines))
    before = "\n".join(lines[:end]).rstrip()
    rest = "\n".join(lines[end:])
    gap = "\n\n" if before == "\n".join(lines[: at + 1]).rstrip() else "\n"
    return f"{before}{gap}{told}\n\n{rest}"


@transaction.atomic
def move(*, incident_id: UUID, state: PostmortemState, actor: Actor) -> Postmortem:
    """Draft, in review, published, and back. Repeating it changes nothing."""
    postmortem = _lock(incident_id)
    if postmortem.state != state:
        postmortem.state = state
        postmortem.published_at = timezone.now() if state == PostmortemState.PUBLISHED else None
        postmortem.save()
        timeline.record(postmortem.incident, Kind.POSTMORTEM_MOVED, actor=actor, state=state)
    return postmortem


def as_document(postmortem: Postmortem) -> str:
    """The whole of it in Markdown, to be kept elsewhere: facts, text, action items."""
    incident = postmortem.incident
    facts = fill(
        "- Service: {service}\n- Severity: {severity}\n- From {opened} to {resolved} ({duration})", incident
    )
    items = [
        f"- [{'x' if item.state == ActionItemState.DONE else ' '}] {item.text} ({_about(item)})"
        for item in items_of(incident)
    ]
    done = ["", "# Action items", "", *items] if items else []
    head = [f"# Postmortem of #{incident.number}: {incident.title}", "", facts]
    head.append(f"- State: {postmortem.get_state_display().lower()}, version {postmortem.version}")
    return "\n".join([*head, "", postmortem.body.strip(), *done]) + "\n"


def _about(item: ActionItem) -> str:
    facts = [item.get_state_display().lower()]
    if item.assignee:
        facts.append(str(item.assignee))
    if item.due_on:
        facts.append(f"due {item.due_on:%-d %b %Y}")
    return ", ".join(facts)


def _lock(incident_id: UUID) -> Postmortem:
    """Raises Postmortem.DoesNotExist."""
    incident = lifecycle.lock_one(incident_id)
    postmortem = (
        Postmortem.objects.select_for_update(of=("self",)).select_related("edited_by").get(incident=incident)
    )
    postmortem.incident = incident
    return postmortem


def _keep(postmortem: Postmortem, actor: Actor, now: datetime) -> None:
    """Keep the text as it is now as a revision, or as the newer state of the last one."""
    last = postmortem.revisions.order_by("-version").first()
    is_same = (
        last is not None
        and last.author_id == (actor.user.pk if actor.user else None)
        and last.created_at > now - ONE_REVISION
        and len(postmortem.body) > len(last.body) - MUCH_SHORTER
        and last.version > 1
    )
    if last is not None and is_same:
        last.version, last.body, last.at = postmortem.version, postmortem.body, now
        last.save()
        return
    PostmortemRevision.objects.create(
        postmortem=postmortem,
        version=postmortem.version,
        body=postmortem.body,
        author=actor.user,
        author_name=actor.name[:160],
        at=now,
    )
