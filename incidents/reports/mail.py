"""Reports by email.

Each address gets at most one of a kind a day by schedule, however often the task is delivered: its row is written before
the mail server is asked. When the server did not take it the row says so, and it is tried again for half a day. A process
that dies in between costs that report and never doubles it. "Send now" asks no row.
"""

import smtplib
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from incidents.enums import Recipients, ReportKind
from incidents.exceptions import NobodyGetsReport, ReportNotSent
from incidents.models import Incident, ReportSchedule, ReportSent
from teams.enums import Role
from teams.models import Membership, Service

from . import parts
from .blocks import Block, Chart, Figure, Figures, Table, tables_of
from .scope import Scope

ROLES = {
    Recipients.MANAGERS: [Role.MANAGER],
    Recipients.RESPONDERS: [Role.MANAGER, Role.RESPONDER],
    Recipients.EVERYBODY: list(Role),
    Recipients.NOBODY: [],
}
MOST_ROWS = 10
BATCH = 100
TRIED_FOR = timedelta(hours=12)
MOST_INCIDENTS = 30


def zone_of(schedule: ReportSchedule) -> ZoneInfo:
    """That of the schedule's crontab; of the team where an administrator has put something else in its place."""
    crontab = schedule.task.crontab
    return ZoneInfo(str(crontab.timezone)) if crontab else schedule.team.tzinfo


def addresses_of(schedule: ReportSchedule) -> list[str]:
    """Who gets it, each once whatever the case."""
    members = Membership.objects.filter(
        team=schedule.team, role__in=ROLES[Recipients(schedule.recipients)], user__is_active=True
    )
    found = {address.lower(): address for address in members.values_list("user__email", flat=True)}
    for address in schedule.addresses:
        found.setdefault(address.lower(), address)
    return sorted(found.values())


def send_by_schedule(schedule_id: UUID) -> int:
    """Send what is due today to those who have not got it yet; returns to how many. Nothing for a schedule that is gone."""
    schedule = _schedules().filter(pk=schedule_id).first()
    if schedule is None:
        return 0
    day = timezone.now().astimezone(zone_of(schedule)).date()
    return _deliver(schedule, [row for to in addresses_of(schedule) if (row := _claim(schedule, to, day))])


def send_failed() -> int:
    """Try again what the mail server did not take; returns how many it has now. Any number may run at once."""
    since = timezone.now() - TRIED_FOR
    with transaction.atomic():
        failed = ReportSent.objects.filter(sent_at=None, created_at__gte=since).exclude(failure="")
        rows = list(failed.select_for_update(skip_locked=True)[:BATCH])
        # Claimed: without a failure nobody else takes it.
        ReportSent.objects.filter(pk__in=[row.pk for row in rows]).update(failure="")
    schedules = _schedules().in_bulk({row.schedule_id for row in rows})
    return sum(
        _deliver(schedule, [row for row in rows if row.schedule_id == pk])
        for pk, schedule in schedules.items()
    )


def _deliver(schedule: ReportSchedule, rows: Sequence[ReportSent]) -> int:
    """Send to the addresses of rows that were claimed, and write down what came of it."""
    if not rows:
        return 0
    message = _message(schedule)
    for row in rows:
        try:
            _send(message, row.address)
        except ReportNotSent as failure:
            row.failure = failure.detail[:300]
        else:
            row.sent_at, row.failure = timezone.now(), ""
        row.save(update_fields=["sent_at", "failure", "updated_at"])
    return sum(row.sent_at is not None for row in rows)


def send_now(schedule: ReportSchedule) -> int:
    """Send it at once to all who get it; returns to how many. Raises NobodyGetsReport, ReportNotSent."""
    addresses = addresses_of(schedule)
    if not addresses:
        raise NobodyGetsReport
    message = _message(schedule)
    for address in addresses:
        _send(message, address)
    return len(addresses)


def _schedules() -> QuerySet[ReportSchedule]:
    return ReportSchedule.objects.select_related("team", "task__crontab")


def _claim(schedule: ReportSchedule, address: str, day: date) -> ReportSent | None:
    try:
        with transaction.atomic():
            return ReportSent.objects.create(schedule=schedule, address=address, day=day)
    except IntegrityError:
        return None


def _send(message: tuple[str, str, str], address: str) -> None:
    subject, text, html = message
    email = EmailMultiAlternatives(
        subject=subject, body=text, to=[address], headers={"Auto-Submitted": "auto-generated"}
    )
    email.attach_alternative(html, "text/html")
    try:
        email.send()
    except (smtplib.SMTPException, OSError, BadHeaderError, UnicodeError) as error:
        raise ReportNotSent(f"The mail to {address} did not go out: {error}") from error


def scope_of(schedule: ReportSchedule) -> Scope:
    """The last day or week, until now on the clock of the schedule."""
    zone = zone_of(schedule)
    end = timezone.now().astimezone(zone).replace(second=0, microsecond=0)
    services = Service.objects.filter(team=schedule.team).select_related("team")
    return Scope(
        start=end - timedelta(days=ReportKind(schedule.kind).days),
        end=end,
        zone=zone,
        services={service.pk: service for service in services},
    )


def _message(schedule: ReportSchedule) -> tuple[str, str, str]:
    """Subject, text and HTML."""
    scope = scope_of(schedule)
    built = ((section.title, list(section.build(scope))) for section in parts.sections())
    # What has charts alone is for the page.
    sections = [
        (title, _shown(blocks))
        for title, blocks in built
        if not all(isinstance(block, Chart) for block in blocks)
    ]
    incidents = Incident.objects.filter(
        service__in=list(scope.services), opened_at__gte=scope.start, opened_at__lt=scope.end
    )
    unresolved = Incident.objects.unresolved().filter(service__in=list(scope.services))
    days = ReportKind(schedule.kind).days
    context = {
        "schedule": schedule,
        "scope": scope,
        "sections": sections,
        "incidents": list(
            incidents.filter(merged_into=None)
            .with_severity_rank()
            .select_related("service", "first_acknowledged_by")
            .order_by("severity_rank", "-opened_at")[: MOST_INCIDENTS + 1]  # type: ignore[misc]
        ),
        "most": MOST_INCIDENTS,
        "unresolved": unresolved.count(),
        "site": settings.SITE_URL,
        "address": f"{settings.SITE_URL}{reverse('reports')}?"
        + urlencode({"period": str(days), "team": str(schedule.team_id)}),
    }
    with timezone.override(scope.zone):
        subject = f"{schedule}: {_headline(sections)}"
        text = render_to_string("incidents/reports/mail.txt", context)
        html = render_to_string("incidents/reports/mail.html", context)
    return subject, text, html


def _headline(sections: Iterable[tuple[str, tuple[list[Figure], list[Table]]]]) -> str:
    """The first figures of the first section: “3 incidents”."""
    for _, (figures, _) in sections:
        if figures:
            return f"{figures[0].text} {figures[0].label.lower()}"
    return "nothing to tell"


def _shown(blocks: Iterable[Block]) -> tuple[list[Figure], list[Table]]:
    """The figures, and those tables that have something in them, cut short. What stands behind charts is for the page."""
    blocks = list(blocks)
    figures = [figure for block in blocks if isinstance(block, Figures) for figure in block.figures]
    tables = [
        Table(table.name, table.title, table.columns, table.rows[:MOST_ROWS], table.note)
        for table in tables_of([block for block in blocks if isinstance(block, Table)])
        if table.rows
    ]
    return figures, tables
