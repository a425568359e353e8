"""Opsgenie's search queries (support.atlassian.com/opsgenie: “Search queries for alerts”).

    status: open AND priority: (P1 OR P2) AND NOT tag: "maintenance"
    message: checkout* AND createdAt > 1772452800000

Conditions side by side are joined by AND, which binds more than OR does. A text is found anywhere in the
message; other values must be equal, in whatever case, unless they end with *.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from django.db.models import Exists, OuterRef, Q

from alerts.enums import AlertStatus
from alerts.formats.opsgenie import PRIORITIES
from alerts.models import AlertAdditions
from incidents.enums import Severity, Status

from .calls import Unprocessable, instant_of
from .lookup import uuid_of

MAX_LENGTH = 1_000
MAX_DEPTH = 20

TOKEN = re.compile(r'\s*(?:(?P<sign>[()]|[:=<>]=?)|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s():=<>"]+))')
NAME_WITH_DOT = re.compile(r"(?:details|extraProperties)\.(.+)", re.IGNORECASE)


def condition_of(query: str) -> Q:
    """What a query asks for; an empty one, everything. Raises Unprocessable."""
    if len(query) > MAX_LENGTH:
        raise Unprocessable(query=f"The query may have at most {MAX_LENGTH} characters.")
    return _Parser(query).parse()


class _Parser:
    def __init__(self, query: str) -> None:
        self._tokens = _tokens(query)
        self._at = 0
        self._depth = 0

    def parse(self) -> Q:
        if not self._tokens:
            return Q()
        found = self._either(None)
        if self._peek():
            raise _wrong(f"“{self._peek()}” is not expected.")
        return found

    # A `field` is that of “field: (a OR b)”, whose conditions are values alone.

    def _either(self, field: str | None) -> Q:
        found = self._both(field)
        while self._take("OR"):
            found |= self._both(field)
        return found

    def _both(self, field: str | None) -> Q:
        found = self._one(field)
        while (token := self._peek()) and token not in ("OR", ")"):
            self._take("AND")
            found &= self._one(field)
        return found

    def _one(self, field: str | None) -> Q:
        is_negated = False
        while self._take("NOT"):
            is_negated = not is_negated
        found = self._condition(field)
        return ~found if is_negated else found

    def _condition(self, field: str | None) -> Q:
        if self._take("("):
            return self._nested(field)
        word = self._value()
        if field is not None:
            return _compare(field, ":", word)
        sign = self._peek()
        if sign not in (":", "=", ">", ">=", "<", "<="):
            return _compare("message", ":", word)
        self._at += 1
        if sign in (":", "=") and self._take("("):
            return self._nested(word)
        return _compare(word, sign, self._value())

    def _nested(self, field: str | None) -> Q:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _wrong("It is nested too deeply.")
        found = self._either(field)
        if not self._take(")"):
            raise _wrong("A “)” is missing.")
        self._depth -= 1
        return found

    def _peek(self) -> str:
        """The next token: a sign, an operator, or a value with a quotation mark before it; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._peek() == token:
            self._at += 1
            return True
        return False

    def _value(self) -> str:
        token = self._peek()
        if not token.startswith('"'):
            raise _wrong(f"A value is wanted before “{token}”." if token else "It breaks off.")
        self._at += 1
        return token[1:]


def _tokens(query: str) -> list[str]:
    found, at = [], 0
    query = query.rstrip()
    while at < len(query):
        match = TOKEN.match(query, at)
        if match is None:
            raise _wrong(f"“{query[at:]}” cannot be read.")
        at = match.end()
        if match["sign"]:
            found.append(match["sign"])
        elif match["word"] in ("AND", "OR", "NOT"):
            found.append(match["word"])
        elif match["word"]:
            found.append('"' + match["word"])
        else:
            found.append('"' + re.sub(r"\\(.)", r"\1", match["quoted"]))
    return found


def _wrong(detail: str) -> Unprocessable:
    return Unprocessable(query=f"The query is not valid: {detail}")


def _compare(field: str, sign: str, value: str) -> Q:
    details = NAME_WITH_DOT.fullmatch(field)
    if details:
        return _equal(sign, _detail(details[1], value))
    name = field.lower()
    if name in INSTANTS:
        return _ordered(INSTANTS[name], sign, _instant(value))
    if name == "count":
        if not value.isascii() or not value.isdecimal() or len(value) > 18:
            raise _wrong("A count is a number.")
        return _ordered("count", sign, int(value))
    if name not in FIELDS:
        raise _wrong(f"The field “{field}” is not known.")
    return _equal(sign, FIELDS[name](value))


def _equal(sign: str, found: Q) -> Q:
    if sign not in (":", "="):
        raise _wrong(f"“{sign}” compares instants and counts.")
    return found


def _ordered(path: str, sign: str, value: object) -> Q:
    lookup = {":": "", "=": "", ">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte"}[sign]
    return Q(**{path + lookup: value})


def _instant(value: str) -> datetime:
    """Milliseconds since 1970, or as ISO 8601 writes it."""
    at: datetime | None
    if value.isascii() and value.isdecimal():
        try:
            at = datetime.fromtimestamp(int(value) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            at = None
    else:
        at = instant_of(value)
    if at is None:
        raise _wrong(f"“{value}” is no instant.")
    return at


def _text(path: str) -> Callable[[str], Q]:
    def condition(value: str) -> Q:
        if value.endswith("*"):
            return Q(**{f"{path}__istartswith": value[:-1]})
        return Q(**{f"{path}__iexact": value})

    return condition


def _message(value: str) -> Q:
    return Q(title__icontains=value.rstrip("*"))


def _status(value: str) -> Q:
    statuses = {"open": AlertStatus.FIRING, "closed": AlertStatus.RESOLVED}
    if value.lower() not in statuses:
        raise _wrong("A status is open or closed.")
    return Q(status=statuses[value.lower()])


def _priority(value: str) -> Q:
    priority = value.upper()
    if priority not in PRIORITIES:
        raise _wrong("A priority is one of P1, P2, P3, P4, P5.")
    found = Q(severity=PRIORITIES[priority])
    lowest = Q(metadata__contains={"priority": "P5"})
    if PRIORITIES[priority] == Severity.LOW:
        return found & (lowest if priority == "P5" else ~lowest)
    return found


def _tag(value: str) -> Q:
    added = AlertAdditions.objects.filter(alert=OuterRef("pk"), tags__contains=[value])
    return Q(metadata__contains={"tags": [value]}) | Q(Exists(added))


def _detail(name: str, value: str) -> Q:
    added = AlertAdditions.objects.filter(alert=OuterRef("pk"), labels__contains={name: value})
    return Q(labels__contains={name: value}) | Q(Exists(added))


def _flag(condition: Q) -> Callable[[str], Q]:
    def asked(value: str) -> Q:
        if value.lower() not in ("true", "false"):
            raise _wrong("It is true or false.")
        return condition if value.lower() == "true" else ~condition

    return asked


def _id(value: str) -> Q:
    return Q(pk=uuid_of(value)) if uuid_of(value) else Q(pk__in=[])


def _tiny(value: str) -> Q:
    is_number = value.isascii() and value.isdecimal() and len(value) <= 18
    return Q(incident__number=int(value)) if is_number else Q(pk__in=[])


def _metadata(key: str) -> Callable[[str], Q]:
    return lambda value: Q(metadata__contains={key: value})


ACKNOWLEDGED = Q(incident__acknowledged_at__isnull=False)
SNOOZED = Q(incident__status=Status.SNOOZED)

FIELDS: dict[str, Callable[[str], Q]] = {
    "id": _id,
    "alertid": _id,
    "tinyid": _tiny,
    "alias": _text("dedup_key"),
    "message": _message,
    "status": _status,
    "priority": _priority,
    "tag": _tag,
    "tags": _tag,
    "source": _text("source"),
    "owner": _text("incident__assigned_to__email"),
    "entity": _metadata("entity"),
    "integration.name": _text("integration__name"),
    "acknowledged": _flag(ACKNOWLEDGED),
    "snoozed": _flag(SNOOZED),
    "isseen": _flag(ACKNOWLEDGED | ~Q(incident__status=Status.OPEN)),
}
INSTANTS = {
    "createdat": "first_fired_at",
    "updatedat": "updated_at",
    "lastoccurredat": "last_fired_at",
    "snoozeduntil": "incident__snoozed_until",
}
