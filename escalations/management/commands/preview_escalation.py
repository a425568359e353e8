"""`manage.py preview_escalation Checkout --severity critical --at "2026-03-07 03:10"`: who would be paged, how and when."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from escalations.preview import Preview, preview
from escalations.words import who_is_in_charge
from incidents.enums import Severity
from openalert.words import listed
from teams.models import Service


class Command(BaseCommand):
    help = "Show who would be paged, how and when, if a service fired an alert. Nothing is written, nobody is paged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("service", help="its name or id")
        parser.add_argument("--team", help="its team's name, where several have a service of this name")
        parser.add_argument("--severity", choices=Severity.values, default=Severity.CRITICAL)
        parser.add_argument(
            "--at", help="when it fires, on the team's clocks unless it names an offset; default: now"
        )
        parser.add_argument(
            "--label", action="append", default=[], metavar="NAME=VALUE", help="a label of the alert"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        service = _service(options["service"], options["team"])
        labels = {}
        for label in options["label"]:
            name, sign, value = label.partition("=")
            if not name or not sign:
                raise CommandError(f"“{label}” is not like env=prod.")
            labels[name] = value
        found = preview(
            service=service,
            severity=Severity(options["severity"]),
            at=_instant(options["at"], service),
            labels=labels,
        )
        for line in _lines(found):
            self.stdout.write(line)


def _service(name: str, team: str | None) -> Service:
    services = Service.objects.select_related("team")
    try:
        found = list(services.filter(pk=UUID(name)))
    except ValueError:
        found = list(services.filter(name__iexact=name))
    if team:
        found = [service for service in found if service.team.name.lower() == team.lower()]
    if len(found) > 1:
        names = listed(sorted(service.team.name for service in found))
        raise CommandError(f"{names} have a service of this name: say which with --team.")
    if not found:
        raise CommandError(f"There is no service “{name}”.")
    return found[0]


def _instant(text: str | None, service: Service) -> datetime:
    if text is None:
        return timezone.now()
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    if at is None:
        raise CommandError(f"“{text}” is not a time like 2026-03-07 03:10.")
    return at if timezone.is_aware(at) else timezone.make_aware(at, service.team.tzinfo)


def _lines(found: Preview) -> list[str]:
    zone = found.service.team.tzinfo

    def clock(at: datetime) -> str:
        return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}"

    lines = [f"{found.service}, {found.severity} at {clock(found.at)}: {who_is_in_charge(found)}"]
    lines += [
        f"{clock(at)}  waits until {clock(wait.until)}: {wait.reason.label.lower()}"
        for at, wait in found.waits
    ]
    for step in found.steps:
        lines.append(
            f"{clock(step.at)}  round {step.loop + 1}, step {step.number + 1}: {listed(step.targets)}"
        )
        lines += [
            f"{'':27}{person.user}: {person.in_words or 'is not reached, all contact methods are switched off'}"
            for person in step.people
        ]
        if not step.people:
            lines.append(f"{'':27}nobody")
    if found.ends_at:
        told = listed([str(manager) for manager in found.managers]) or "nobody"
        lines.append(f"{clock(found.ends_at)}  ends without an answer; told as managers: {told}")
    return lines
