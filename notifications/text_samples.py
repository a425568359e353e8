"""What each way of paging would say of an incident, for the administrator's preview."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.dom import minidom

from django.db import models
from django.utils import timezone

from incidents.enums import Severity, Status
from incidents.models import Incident
from openalert.ids import uuid7
from teams.models import Service, Team, User

from . import limits, messages, sms_text
from .enums import Channel, Purpose
from .hooks import twilio
from .models import ContactMethod, Notification, ProviderAccount
from .transports import TRANSPORTS, Message, accounts_of, messenger, slack, teams, web_push


@dataclass(frozen=True)
class WayState:
    """One channel in this installation: why it is off ("" when it is on), and how its provider's account fares."""

    channel: Channel
    why_off: str
    account: str
    limit_per_minute: int  # 0: none
    trouble: str


def ways() -> list[WayState]:
    """Every channel: whether it can be used, and whether its provider fails."""
    accounts = {account.name: account for account in ProviderAccount.objects.all()}
    return [
        WayState(
            channel,
            transport.why_off(),
            transport.account,
            limits.limit_of(transport.account),
            " ".join(filter(None, (_trouble(accounts.get(name)) for name in accounts_of(channel)))),
        )
        for channel, transport in TRANSPORTS.items()
    ]


def _trouble(account: ProviderAccount | None) -> str:
    if account is None or not (account.closed_until or account.failures):
        return ""
    name = f"{account.name}: " if "-" in account.name else ""
    until = f"{name}Not used until {account.closed_until:%H:%M:%S} UTC. " if account.closed_until else ""
    failed = (
        f"Failed {account.failures} time{'' if account.failures == 1 else 's'} in a row. "
        if account.failures
        else ""
    )
    return f"{until or name}{failed}{account.last_error}"


@dataclass(frozen=True)
class Sample:
    """One channel, and what it would send. `html` is a whole document, to be shown in a frame."""

    channel: Channel
    subject: str
    text: str
    notes: list[str] = field(default_factory=list)
    html: str = ""
    payload: str = ""


class Kind(models.TextChoices):
    """What there is to say."""

    PAGE = "page", "A page"
    BUNDLE = "bundle", "Pages of several incidents in one message"
    UNANSWERED = "unanswered", "The notice that nobody answered"
    PAGING = "paging", "A notice about the paging itself"
    TEST = "test", "A test page"
    VERIFICATION = "verification", "The code that verifies a contact method"


PURPOSES: dict[Kind, Purpose] = {
    Kind.PAGE: Purpose.PAGE,
    Kind.BUNDLE: Purpose.PAGE,
    Kind.UNANSWERED: Purpose.NOTICE,
    Kind.PAGING: Purpose.NOTICE,
    Kind.TEST: Purpose.TEST,
    Kind.VERIFICATION: Purpose.VERIFICATION,
}
OF_AN_INCIDENT = (Kind.PAGE, Kind.BUNDLE, Kind.UNANSWERED)
BUNDLED = 23
NOTICE = {
    "subject": "Pages fail: twilio",
    "text": "The page to Bo Lind by SMS about #42 failed for good: Twilio answered 400.",
    "path": "/dead-letters/",
}


def samples(*, title: str, severity: Severity, service: str, kind: Kind, user: User) -> list[Sample]:
    """The texts of every channel. Nothing is written and nothing is sent."""
    of = Service(name=service, team=Team(name="Sample team"))
    incidents = [
        Incident(
            number=42 + number,
            title=title,
            severity=severity,
            status=Status.OPEN,
            service=of,
            opened_at=timezone.now(),
        )
        for number in range(BUNDLED if kind == Kind.BUNDLE else 1)
    ]
    return [
        _sample(channel, incidents if kind in OF_AN_INCIDENT else [None], kind, user) for channel in Channel
    ]


def _sample(channel: Channel, incidents: Sequence[Incident | None], kind: Kind, user: User) -> Sample:
    pages = [
        Notification(
            pk=uuid7(),
            purpose=PURPOSES[kind],
            user=user,
            incident=incident,
            channel=channel,
            contact_method=ContactMethod(user=user, channel=channel),
            payload=NOTICE if kind == Kind.PAGING else {},
        )
        for incident in incidents
    ]
    message = messages.render_together(pages)
    return Sample(
        channel=channel,
        subject=message.subject,
        text=message.text,
        notes=_notes(channel, message),
        html=message.html,
        payload=_payload(channel, pages, message),
    )


def _notes(channel: Channel, message: Message) -> list[str]:
    if channel == Channel.SMS:
        size = sms_text.size(message.text)
        return [
            f"{size.units} units of {size.encoding}",
            f"{size.segments} segment{'s' if size.segments > 1 else ''}",
        ]
    return [
        "can be answered where it arrives"
        if TRANSPORTS[channel].can_be_answered
        else "is answered in the app"
    ]


def _payload(channel: Channel, pages: list[Notification], message: Message) -> str:
    """What goes over the wire, where that is more than the text."""
    if channel == Channel.VOICE:
        return minidom.parseString(str(twilio.said(pages))).toprettyxml(indent="  ")  # noqa: S318 (our own)
    shapes = {
        Channel.WEB_PUSH: lambda: json.loads(web_push.payload(message)),
        Channel.SLACK: lambda: slack.blocks(message),
        Channel.TEAMS: lambda: teams.card(message),
    }
    if channel == Channel.APPRISE:
        return messenger.body(message)
    return json.dumps(shapes[channel](), indent=2, ensure_ascii=False) if channel in shapes else ""
