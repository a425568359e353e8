"""What each way of paging would say of an incident, for the administrator's preview."""

import json
from dataclasses import dataclass, field
from xml.dom import minidom

from django.utils import timezone

from incidents.enums import Severity, Status
from incidents.models import Incident
from openalert.ids import uuid7
from teams.models import Service, Team, User

from . import messages, sms_text
from .enums import Channel, Purpose
from .hooks import twilio
from .models import ContactMethod, Notification
from .transports import TRANSPORTS, Message, messenger, slack, teams, web_push


@dataclass(frozen=True)
class Sample:
    """One channel: whether it is on, and what it would send. `html` is a whole document, to be shown in a frame."""

    channel: Channel
    why_off: str
    subject: str
    text: str
    notes: list[str] = field(default_factory=list)
    html: str = ""
    payload: str = ""


def samples(*, title: str, severity: Severity, service: str, purpose: Purpose, user: User) -> list[Sample]:
    """The texts of every channel. Nothing is written and nothing is sent."""
    incident = Incident(
        number=42,
        title=title,
        severity=severity,
        status=Status.OPEN,
        service=Service(name=service, team=Team(name="Sample team")),
        opened_at=timezone.now(),
    )
    return [
        _sample(channel, incident if purpose == Purpose.PAGE else None, purpose, user) for channel in Channel
    ]


def _sample(channel: Channel, incident: Incident | None, purpose: Purpose, user: User) -> Sample:
    notification = Notification(
        pk=uuid7(),
        purpose=purpose,
        user=user,
        incident=incident,
        channel=channel,
        contact_method=ContactMethod(user=user, channel=channel),
    )
    message = messages.render(notification)
    return Sample(
        channel=channel,
        why_off=TRANSPORTS[channel].why_off(),
        subject=message.subject,
        text=message.text,
        notes=_notes(channel, message),
        html=message.html,
        payload=_payload(channel, notification, message),
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


def _payload(channel: Channel, notification: Notification, message: Message) -> str:
    """What goes over the wire, where that is more than the text."""
    if channel == Channel.VOICE:
        return minidom.parseString(str(twilio.said(notification))).toprettyxml(indent="  ")  # noqa: S318 (our own)
    shapes = {
        Channel.WEB_PUSH: lambda: json.loads(web_push.payload(message)),
        Channel.SLACK: lambda: slack.blocks(message),
        Channel.TEAMS: lambda: teams.card(message),
    }
    if channel == Channel.APPRISE:
        return messenger.body(message)
    return json.dumps(shapes[channel](), indent=2, ensure_ascii=False) if channel in shapes else ""
