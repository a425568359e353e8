"""Answers to incidents' facts: once somebody has answered, pages that wait are dropped; a new severity moves them; and
webhooks are told of each."""

from typing import Any

from django.dispatch import Signal

from incidents import signals
from incidents.lifecycle import Actors
from incidents.models import Incident, Stakeholder, StatusUpdate

from . import outbox, subscriber_mail, webhooks
from .enums import WebhookEvent

ANSWERED = (
    signals.incidents_acknowledged,
    signals.incidents_snoozed,
    signals.incidents_resolved,
    signals.incidents_merged,
)


EVENTS: dict[Signal, WebhookEvent] = {
    signals.incidents_opened: WebhookEvent.OPENED,
    signals.incidents_acknowledged: WebhookEvent.ACKNOWLEDGED,
    signals.incidents_unacknowledged: WebhookEvent.UNACKNOWLEDGED,
    signals.incidents_acknowledgements_expired: WebhookEvent.UNACKNOWLEDGED,
    signals.incidents_snoozed: WebhookEvent.SNOOZED,
    signals.incidents_woken: WebhookEvent.WOKEN,
    signals.incidents_resolved: WebhookEvent.RESOLVED,
    signals.incidents_reopened: WebhookEvent.REOPENED,
    signals.incidents_severity_changed: WebhookEvent.SEVERITY_CHANGED,
    signals.incidents_merged: WebhookEvent.MERGED,
}


def connect() -> None:
    for signal in ANSWERED:
        signal.connect(drop_waiting_pages)
    signals.incidents_severity_changed.connect(reprioritise)
    for signal in EVENTS:
        signal.connect(tell_webhooks)
    signals.status_updates_published.connect(mail_updates)
    signals.stakeholders_asked.connect(mail_questions)


def drop_waiting_pages(incidents: list[Incident], **kwargs: Any) -> None:
    outbox.cancel_pages(incidents)


def reprioritise(incidents: list[Incident], **kwargs: Any) -> None:
    outbox.reprioritise(incidents)


def tell_webhooks(signal: Signal, incidents: list[Incident], actor: Actors, **kwargs: Any) -> None:
    webhooks.tell(EVENTS[signal], incidents, actor, target=kwargs.get("target"))


def mail_updates(updates: list[StatusUpdate], **kwargs: Any) -> None:
    subscriber_mail.tell_of_updates(updates)


def mail_questions(stakeholders: list[Stakeholder], **kwargs: Any) -> None:
    subscriber_mail.ask(stakeholders)
