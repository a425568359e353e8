"""Pages by whatever Apprise speaks: Telegram, Discord, ntfy, Pushover, …, of the services that the installation
allows (APPRISE_SCHEMES). Apprise tells only whether the status was a good one; what was answered is overheard."""

import logging
import threading

import apprise
from django.conf import settings

from notifications import addresses
from notifications.enums import Action, Channel
from notifications.exceptions import DeliveryError
from openalert import outward

from . import http, messenger_answers
from .base import Message
from .overheard import Heard, listening

CRITICAL, WARNING = ("critical",), ("high",)


class MessengerTransport:
    account = "apprise"
    can_be_answered = True

    def is_configured(self) -> bool:
        return bool(settings.APPRISE_SCHEMES)

    def why_off(self) -> str:
        return "" if self.is_configured() else "APPRISE_SCHEMES names no service."

    def account_at(self, address: str) -> str:
        scheme = scheme_of(address)
        return f"{self.account}-{scheme}" if scheme in settings.APPRISE_SCHEMES else self.account

    def accounts(self) -> list[str]:
        return [self.account, *(f"{self.account}-{scheme}" for scheme in settings.APPRISE_SCHEMES)]

    def send(self, message: Message) -> str:
        """Returns the service's name for the message, where it has one."""
        service, scheme = service_at(message.address), scheme_of(message.address)
        name, answers = str(service.service_name), list[Heard]()

        def listen(heard: Heard) -> None:
            answers.append(heard)
            messenger_answers.check_pause(name, heard)

        with ThreadLog() as log, http.told("the messenger"), outward.guarded(), listening(listen):
            is_sent = service.notify(
                title=message.subject,
                body=body(message),
                notify_type=kind(message.severity) if message.is_page else apprise.NotifyType.INFO,
                body_format=apprise.NotifyFormat.TEXT,
            )
        return messenger_answers.check_taken(name, scheme, answers, is_sent=bool(is_sent), log=log.last)


def scheme_of(address: str) -> str:
    return address.strip().partition("://")[0].lower()


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
    service.redirects = False  # a POST that is redirected becomes a GET, and its 200 says nothing
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
