"""The mail listener: an SMTP server (RFC 5321) that takes mail for integrations and heartbeats and passes none on.

A recipient is refused for good when none of them has its key, and for now when the database is away. A mail is
answered 250 once its alerts and pings are stored for all of its recipients; until then the sender keeps it, and sends it
again. So a listener that is killed loses nothing.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException
from django.conf import settings
from django.db import DataError, connection
from django.db import Error as DatabaseError

from openalert.exceptions import OpenAlertError

from .enums import Source
from .exceptions import IntegrationDisabled
from .formats import FORMATS
from .keys import IntegrationChanged
from .mail_intake import key_of, recipient, secret_of, take_mail

logger = logging.getLogger(__name__)
# The library's lines of lower levels hold the commands, and so integration keys.
logging.getLogger("mail.log").setLevel(logging.ERROR)

MAX_MAIL_BYTES = 10 * 1024 * 1024
MAX_RECIPIENTS = 50
MAX_CONNECTIONS = 200
# Of each command in one connection; a sender with more to say connects again.
MAX_COMMANDS = 1_000
# Between two commands, and for the whole of a mail: RFC 5321 §4.5.3.2.
TIMEOUT_SECONDS = 300
# Longer than the standard's 1,000: some monitoring systems write a body in one line.
MAX_LINE_BYTES = 256 * 1024
THREADS = 4
# Of ours when we are told to end: shorter than what supervisors allow.
GRACE_SECONDS = 8

UNKNOWN = "550 5.1.1 No integration and no heartbeat has this address"
SWITCHED_OFF = "550 5.2.1 This integration is switched off"
SIGNED_ONLY = "550 5.7.1 This integration takes signed mail from SendGrid only"
TOO_MANY = "452 4.5.3 Too many recipients: send the mail to the others separately"
LATER = "451 4.3.0 The mail cannot be stored now; send it again later"
CHANGED = "451 4.3.0 A recipient has changed; send the mail again"
UNFIT = "554 5.6.0 The mail has something in it that cannot be stored"
BUSY = b"421 4.3.2 Too many connections; come back later\r\n"
CLOSING = b"421 4.3.2 Closing; come back later\r\n"

T = TypeVar("T")


class Handler:
    """Answers the commands; what it has to ask the database, it asks in threads."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(THREADS, thread_name_prefix="mail")

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if not line.startswith("250-AUTH")]  # nobody signs in here

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return TOO_MANY
        key = key_of(address)
        if not key:
            return UNKNOWN
        if refusal := await self._answer(_check, key):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_VRFY(self, server: SMTP, session: Session, envelope: Envelope, address: str) -> str:
        return "252 2.1.5 Send it, and see"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        keys = [key_of(address) for address in envelope.rcpt_tos]
        return await self._answer(_store, keys, envelope.original_content or b"")

    async def handle_exception(self, failure: Exception) -> str:
        if not isinstance(failure, ConnectionError | TLSSetupException):
            logger.error("mail: a command failed", exc_info=failure)
        return LATER

    async def _answer(self, function: Callable[..., str], *args: Any) -> str:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._workers, _with_connection, function, args)
        except DatabaseError as failure:
            logger.error("mail: the database did not take it: %s", failure)
            return LATER


def _with_connection(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return function(*args)
    finally:
        connection.close()  # back to the pool: these threads outlive the mail


def _check(key: str) -> str:
    """Why a recipient is refused; "" when it is not."""
    try:
        found = recipient(key)
    except IntegrationDisabled:
        return SWITCHED_OFF
    except OpenAlertError:
        return UNKNOWN
    return SIGNED_ONLY if secret_of(found) else ""


def _store(keys: list[str], content: bytes) -> str:
    try:
        mail = FORMATS[Source.EMAIL].decode(content, {})
        taken = take_mail(keys, mail, body=content, content_type="message/rfc822")
    except (OpenAlertError, IntegrationChanged):
        return CHANGED  # the next RCPT says how
    except DataError as failure:
        logger.error("mail: the database cannot hold a mail: %s", failure)
        return UNFIT
    if not taken.count:
        logger.info("mail: an automatic reply was left out")
        return "250 2.0.0 Taken; automatic replies are not stored"
    return "250 2.0.0 Stored"


class Connection(SMTP):
    """One sender's connection. `is_busy` while a mail is sent and stored."""

    line_length_limit = MAX_LINE_BYTES

    def __init__(self, open_ones: "set[Connection]", handler: Handler, **options: Any) -> None:
        super().__init__(
            handler,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname=settings.INTAKE_MAIL_DOMAIN,
            ident="OpenAlert",
            timeout=TIMEOUT_SECONDS,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=MAX_COMMANDS,
            **options,
        )
        self.is_busy = False
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_ones.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open_ones.discard(self)
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:
        self.is_busy = True
        try:
            await super().smtp_DATA(arg)
        finally:
            self.is_busy = False

    def end(self) -> None:
        """Hang up, with a word where one is understood."""
        if isinstance(self.transport, asyncio.WriteTransport) and not self.transport.is_closing():
            if not self.is_busy:
                self.transport.write(CLOSING)
            self.transport.close()


class Refusal(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(BUSY)
        transport.close()


class Listener:
    """Listens on one address, in the running event loop."""

    def __init__(self, *, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._handler = Handler()
        self._connections: set[Connection] = set()

    async def run(self, until: asyncio.Event) -> None:
        """Take mail until the event is set; mails that are on their way are still answered, within 8 seconds.

        Raises OSError when nobody can listen there.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, self._host, self._port)
        logger.info("mail: listening on %s:%s for %s", self._host, self._port, settings.INTAKE_MAIL_DOMAIN)
        await until.wait()
        server.close()
        deadline = loop.time() + GRACE_SECONDS
        self._end(lambda connection: not connection.is_busy)
        while self._connections and loop.time() < deadline:
            await asyncio.sleep(0.05)
            self._end(lambda connection: not connection.is_busy)
        self._end(lambda connection: True)

    def _connection(self) -> asyncio.Protocol:
        if len(self._connections) >= MAX_CONNECTIONS:
            return Refusal()
        loop = asyncio.get_running_loop()
        return Connection(self._connections, self._handler, tls_context=self._tls, loop=loop)

    def _end(self, chosen: Callable[[Connection], bool]) -> None:
        for one in list(self._connections):
            if chosen(one):
                one.end()


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """For STARTTLS. Raises OSError when a file cannot be read or is not what it should be (ssl.SSLError is one)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
