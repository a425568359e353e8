"""What a format is: how to read one system's words, and how to answer it in its own.

A module for each, registered in `alerts.formats.FORMATS`. Its heart is a pure function, `read(payload, headers)`;
all else has a default that suits most. The order for one request: `key` → `decode` → the integration is looked up →
`check` → `read` → the integration's rules → intake → `answer`; or `refuse`, with what went wrong.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault, without_nul
from alerts.exceptions import MalformedPayload
from openalert.error_shape import error, error_body, error_type
from openalert.exceptions import OpenAlertError

if TYPE_CHECKING:
    from alerts.models import Integration
    from alerts.results import Result

# The plain number: to look up a member of HTTPStatus takes nearly as long as all the rest of an answer.
ACCEPTED = int(HTTPStatus.ACCEPTED)
TOO_DEEP = "The JSON is nested too deeply."

Reader = Callable[[Any, Mapping[str, str]], list[AlertEvent | EventFault]]


class Request(msgspec.Struct, kw_only=True):
    """A request for intake. `headers` have lower-case names; `body` is as it was before its Content-Encoding.

    `path` is the whole path; `tail` is what follows the integration key, without slashes around it. `at` is
    when it came, by time.monotonic(). `key` is the one in the address until the door has read it where the format
    has it; `integration` is whose it is.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    correlation_id: str
    body: bytes = b""
    key: str = ""
    tail: str = ""
    query: str = ""
    at: float = msgspec.field(default_factory=time.monotonic)
    integration: "Integration | None" = None


class Answer(msgspec.Struct, frozen=True):
    """`body` is sent as JSON; bytes are sent as they are, None sends nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class Taken(msgspec.Struct, frozen=True):
    """What became of a request's events: the results of those taken, in order, and the faults of the others."""

    results: Sequence["Result"]
    faults: Sequence[EventFault]


def decode_json(body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON value of a body, with U+FFFD for every U+0000, which PostgreSQL cannot store.

    Raises MalformedPayload.
    """
    value = decode_strict_json(body, headers)
    try:
        return without_nul(value) if rb"\u0000" in body else value
    except RecursionError as cause:
        raise MalformedPayload(TOO_DEEP) from cause


def decode_strict_json(body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON value of a body as it is. Raises MalformedPayload."""
    try:
        return msgspec.json.decode(body)
    except RecursionError as cause:
        raise MalformedPayload(TOO_DEEP) from cause
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise MalformedPayload(f"The body is not valid JSON: {cause}.") from cause


def answer(request: Request, taken: Taken) -> Answer:
    """202 when all was taken; 400 with each fault's index when some was not, and what became of the others."""
    told = {"accepted": len(taken.results), "alerts": taken.results}
    if not taken.faults:
        return Answer(ACCEPTED, told)
    errors = [error(fault.code, fault.detail, field=fault.field) for fault in taken.faults]
    body = error_body(type="validation_error", errors=errors, correlation_id=request.correlation_id)
    places = [
        {**told_error, "index": fault.index} for told_error, fault in zip(errors, taken.faults, strict=True)
    ]
    return Answer(HTTPStatus.BAD_REQUEST, {**body, "errors": places, **told})


def refuse(request: Request, failure: OpenAlertError) -> Answer:
    """The shape that all of our errors have."""
    body = error_body(
        type=error_type(failure.status, field=failure.field),
        errors=[error(failure.code, failure.detail, field=failure.field)],
        correlation_id=request.correlation_id,
    )
    return Answer(failure.status, body)


def key_in_address(request: Request, payload: Any) -> str:
    """/integrations/<source>/<key>"""
    return request.key


def key_in_authorization(scheme: str) -> Callable[[Request, Any], str]:
    """Reads “Authorization: <scheme> <key>”."""

    def key(request: Request, payload: Any) -> str:
        given, _, value = request.headers.get("authorization", "").partition(" ")
        return value.strip() if given.lower() == scheme.lower() else ""

    return key


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one source is understood.

    `read` raises MalformedPayload when the payload as a whole is not of this format; single faults are
    returned in their place. It does no I/O and never raises anything else.

    `reader_for` replaces `read` where an integration's settings decide how to read: it makes the reader once
    for each integration. Raises MalformedPayload.

    `decode` makes the payload of the body; another one than JSON's is for forms and the like. What it returns
    has no U+0000 in any text. Raises MalformedPayload.

    `key` finds the integration key ("" when there is none); its payload is None unless `key_is_in_payload`.

    `check` runs in a thread once the integration is known, and may do I/O: it verifies signatures (with
    `integration.secret`), raising OpenAlertError, and ends the request early by returning an Answer (a
    handshake, a ping). None goes on.

    `answer` and `refuse` are the system's own words. `throttled` is the status that makes its client send
    again later. `challenge` is the scheme that a 401 asks for (RFC 9110, section 11.6.1). What has `in_thread` is
    read in one, as the integration's own expressions may take their time.
    """

    source: Source
    read: Reader | None = None
    reader_for: "Callable[[Integration], Reader] | None" = None
    decode: Callable[[bytes, Mapping[str, str]], Any] = decode_json
    key: Callable[[Request, Any], str] = key_in_address
    key_is_in_payload: bool = False
    check: "Callable[[Request, Any, Integration], Answer | None] | None" = None
    answer: Callable[[Request, Taken], Answer] = answer
    refuse: Callable[[Request, OpenAlertError], Answer] = refuse
    throttled: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE
    challenge: str = "Bearer"
    in_thread: bool = False
    methods: tuple[str, ...] = ("POST",)
    tails: tuple[str, ...] = ("",)

    @property
    def is_plain(self) -> bool:
        """Whether a request can be read at once, without a thread."""
        return "POST" in self.methods and self.check is None and not self.in_thread

    def reader(self, integration: "Integration") -> Reader:
        if self.reader_for:
            return self.reader_for(integration)
        if self.read is None:
            raise MalformedPayload("This source does not send alerts to this address.")
        return self.read
