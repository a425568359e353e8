"""Pages by whatever Apprise speaks: Telegram, Discord, ntfy, Pushover, …, of the services that the installation
allows (APPRISE_SCHEMES). Apprise tells only whether it worked; why it did not is in its log."""

import logging
import threading

import apprise
from django.conf import settings

from notifications import addresses
from notifications.enums import Action, Channel
from notifications.exceptions import DeliveryError
from openalert import outward

from . import http
from .base import Message

CRITICAL, WARNING = ("critical",), ("high",)


class MessengerTransport:
    account = "apprise"
    can_be_answered = True

    def is_configured(self) -> bool:
        return bool(settings.APPRISE_SCHEMES)

    def why_off(self) -> str:
        return "" if self.is_configured() else "APPRISE_SCHEMES names no service."

    def send(self, message: Message) -> str:
        service = service_at(message.address)
        with ThreadLog() as log, http.told("the messenger"), outward.guarded():
            is_sent = service.notify(
                title=message.subject,
                body=body(message),
                notify_type=kind(message.severity) if message.is_page else apprise.NotifyType.INFO,
                body_format=apprise.NotifyFormat.TEXT,
            )
        if not is_sent:
            raise DeliveryError(f"{service.service_name} did not take it: {log.last or 'no reason is told'}")
        return ""


def service_at(address: str) -> apprise.NotifyBase:
    """Apprise's service for an address, which may not change how long we wait or whom we trust.

    Raises DeliveryError.
    """
    try:
        service = apprise.Apprise.instantiate(addresses.checked(Channel.APPRISE, address))
    except addresses.ValidationError as error:
        raise DeliveryError(" ".join(error.messages), breaks_method=True) from error
    if service is None:
        raise DeliveryError("Apprise cannot read this address", breaks_method=True)
    connecting, reading = http.timeouts()
    service.socket_connect_timeout, service.socket_read_timeout = connecting, reading
    service.verify_certificate = True
    service.retry, service.optional = 0, False
    service.request_rate_per_sec = 0  # the outbox has limits of its own; Apprise would sleep
    return service


def kind(severity: str) -> apprise.NotifyType:
    if severity in CRITICAL:
        return apprise.NotifyType.FAILURE
    return apprise.NotifyType.WARNING if severity in WARNING else apprise.NotifyType.INFO


def body(message: Message) -> str:
    facts = [f"{name}: {value}" for name, value in message.facts]
    links = [f"{message.label_of(Action(name))}: {address}" for name, address in message.answers.items()]
    return "\n".join([message.text, *facts, *links, message.href])


class ThreadLog(logging.Handler):
    """The last warning that Apprise logs in this thread while it is entered."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread = threading.get_ident()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.last = " ".join(record.getMessage().split())[:300]

    def __enter__(self) -> "ThreadLog":
        apprise.logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        apprise.logger.removeHandler(self)
