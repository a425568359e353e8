"""What an integration's rules say, and what follows from them for an event. Pure: no database, no clock.

A rule has conditions, all of which must hold, and actions. Rules are tried in their order, and see what those
before them have changed. Both are JSON, read into the structs below; their `test` and `do` tell the kinds apart.

The end of a problem is never dropped or held: whoever got an alert is told when it is over. A rule that drops may
still drop acknowledgements, which is said by a condition on `status`.

Patterns are RE2's (google/re2, doc/syntax.txt): no pattern takes more than time in proportion to the text, and
texts are cut to MAX_MATCHED bytes.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import re2
from msgspec import Meta

from incidents.enums import Severity
from openalert.zones import time_zones

from .enums import EventStatus
from .events import MAX_TITLE, AlertEvent, find_nul
from .exceptions import InvalidRule

if TYPE_CHECKING:
    from .models import IntegrationRule

logger = logging.getLogger(__name__)

FIELDS = ("title", "name", "source", "severity", "status", "dedup_key")
WITH_PATHS = ("labels.", "metadata.")
CHOICES: Mapping[str, tuple[str, ...]] = {"severity": tuple(Severity.values), "status": tuple(EventStatus)}

MOST_CONDITIONS = 20
MOST_VALUES = 100
MAX_VALUE = 1024
MAX_FIELD = 256
MAX_PATTERN = 512
MAX_MATCHED = 4096  # characters of a text that count; for a pattern, bytes
MOST_SEARCHED = 4 * MAX_MATCHED  # characters of all the texts of a field that a pattern is looked for in
PATTERN_MEMORY = 512 * 1024  # bytes for a pattern's program and what it remembers while it matches
MOST_ELEMENTS = 100  # of a list in the metadata that are looked at
LONGEST_DELAY_MINUTES = 7 * 24 * 60
LONGEST_SPAN_MINUTES = 24 * 60
MOST_TIMES = 100
MAX_GROUPING = 1024

FieldName = Annotated[str, Meta(min_length=1, max_length=MAX_FIELD)]
Value = Annotated[str, Meta(max_length=MAX_VALUE)]
Template = Annotated[str, Meta(min_length=1, max_length=MAX_VALUE)]
# $ takes a line break at the end, too: hence the length.
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="test"):
    pass


class OnField(Condition, frozen=True, kw_only=True):
    """About a field: one of FIELDS, `labels.<name>` or `metadata.<path>`, its parts with dots between them.

    A field that is a list of texts, numbers and truth values has each of them as a value; an object has none.
    Texts are compared as they are, in upper and lower case, but without blanks around them. Of one that is longer
    than MAX_MATCHED, the beginning counts.
    """

    field: FieldName


class Equals(OnField, frozen=True, kw_only=True, tag="equals"):
    value: Value


class Differs(OnField, frozen=True, kw_only=True, tag="differs"):
    """Holds for a field that is not there, too."""

    value: Value


class In(OnField, frozen=True, kw_only=True, tag="in"):
    values: Annotated[list[Value], Meta(min_length=1, max_length=MOST_VALUES)]


class Matches(OnField, frozen=True, kw_only=True, tag="matches"):
    """The pattern is found anywhere in the text; ^ and $ tie it to its ends.

    Of a list's texts the first count, until they have MOST_SEARCHED characters together.
    """

    pattern: Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN)]


class Exists(OnField, frozen=True, kw_only=True, tag="exists"):
    """It was sent, and is neither null nor a text of blanks or nothing."""


class Missing(OnField, frozen=True, kw_only=True, tag="missing"):
    pass


class Hours(Condition, frozen=True, kw_only=True, tag="hours", rename={"from_": "from"}):
    """It comes between two times of the day on local clocks, the first included, the second not.

    When `from` is later than `until` it is a night, which belongs to the day on which it begins; when they are the
    same it is the whole day. Without weekdays it is every day; without a time zone, the team's.
    """

    from_: Clock
    until: Clock
    weekdays: Annotated[list[Weekday], Meta(max_length=7)] = []
    time_zone: Annotated[str, Meta(max_length=64)] = ""


AnyCondition = Equals | Differs | In | Matches | Exists | Missing | Hours


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    pass


class Drop(Action, frozen=True, tag="drop"):
    """Not stored. No later rule is tried."""


class SetSeverity(Action, frozen=True, kw_only=True, tag="set_severity"):
    severity: Severity


class SetTitle(Action, frozen=True, kw_only=True, tag="set_title"):
    """A template: {labels.cluster} stands for the field, {{ and }} for braces. An empty title changes nothing."""

    title: Template


class Group(Action, frozen=True, kw_only=True, tag="group"):
    """Alerts for which the template gives the same text share an incident of the service."""

    by: Template


class SetService(Action, frozen=True, kw_only=True, tag="set_service"):
    """Another service of the same team."""

    service: UUID


class Delay(Action, frozen=True, kw_only=True, tag="delay"):
    """It becomes an alert if it still fires after so long."""

    minutes: Annotated[int, Meta(ge=1, le=LONGEST_DELAY_MINUTES)]


class Threshold(Action, frozen=True, kw_only=True, tag="threshold"):
    """It becomes an alert once it was sent as firing so often within so long."""

    times: Annotated[int, Meta(ge=2, le=MOST_TIMES)]
    minutes: Annotated[int, Meta(ge=1, le=LONGEST_SPAN_MINUTES)]


class Stop(Action, frozen=True, tag="stop"):
    """No later rule is tried."""


AnyAction = Drop | SetSeverity | SetTitle | Group | SetService | Delay | Threshold | Stop
CONDITIONS = Annotated[list[AnyCondition], Meta(max_length=MOST_CONDITIONS)]
ACTIONS = Annotated[list[AnyAction], Meta(min_length=1, max_length=8)]


def read_conditions(value: Any) -> list[AnyCondition]:
    """Raises InvalidRule; its field is like “conditions.0.value”."""
    conditions = _convert(value, CONDITIONS, "conditions")
    if sum(isinstance(condition, Hours) for condition in conditions) > 1:
        raise InvalidRule("Give hours once; another rule can have others.", field="conditions")
    for place, condition in enumerate(conditions):
        try:
            _check_condition(condition)
        except InvalidRule as fault:
            raise InvalidRule(fault.detail, field=f"conditions.{place}.{fault.field}") from None
    return conditions


def read_actions(value: Any) -> list[AnyAction]:
    """Raises InvalidRule; its field is like “actions.0.title”."""
    if value == []:
        raise InvalidRule("Say what is to be done.", field="actions")
    actions = _convert(value, ACTIONS, "actions")
    kinds = [type(action) for action in actions]
    if len(set(kinds)) < len(kinds):
        raise InvalidRule("Give each kind of action once.", field="actions")
    if Drop in kinds and len(kinds) > 1:
        raise InvalidRule("What is dropped needs no other action.", field="actions")
    for place, action in enumerate(actions):
        for field in ("title", "by"):
            try:
                _parts(getattr(action, field, ""))
            except InvalidRule as fault:
                raise InvalidRule(fault.detail, field=f"actions.{place}.{field}") from None
    return actions


def _convert(value: Any, type_: Any, name: str) -> Any:
    try:
        converted = msgspec.convert(value, type_)
        for place, item in enumerate(converted):
            if find_nul(msgspec.json.decode(msgspec.json.encode(item))):
                raise InvalidRule("U+0000 cannot be stored.", field=f"{name}.{place}")
        return converted
    except UnicodeEncodeError:
        raise InvalidRule("Half a pair of surrogates is no character.", field=name) from None
    except msgspec.ValidationError as fault:
        # “Expected `str`, got `int` - at `$[0].value`”
        words, _, at = str(fault).partition(" - at `$")
        path = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", at.rstrip("`"))
        raise InvalidRule(f"{words}.", field=name + path) from None


def _check_condition(condition: AnyCondition) -> None:
    if isinstance(condition, Hours):
        if condition.time_zone and condition.time_zone not in time_zones():
            raise InvalidRule(f"“{condition.time_zone}” is not a time zone.", field="time_zone")
        return
    _check_field(condition.field)
    if isinstance(condition, Matches):
        _pattern(condition.pattern)
    elif isinstance(condition, Equals | Differs | In):
        name, given = (
            ("values", condition.values) if isinstance(condition, In) else ("value", [condition.value])
        )
        choices = CHOICES.get(condition.field)
        for value in given:
            if choices and value.strip() not in choices:
                raise InvalidRule(f"“{value}” is none of {', '.join(choices)}.", field=name)


def _check_field(name: str) -> None:
    if name not in FIELDS and not any(name.startswith(p) and len(name) > len(p) for p in WITH_PATHS):
        wanted = ", ".join((*FIELDS, "labels.<name>", "metadata.<path>"))
        raise InvalidRule(f"“{name}” is no field: use one of {wanted}.", field="field")


@lru_cache(1000)
def _pattern(pattern: str) -> Any:
    """Raises InvalidRule."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = PATTERN_MEMORY
    try:
        return re2.compile(pattern.encode("utf-8", "replace"), options)
    except re2.error as fault:
        [words] = fault.args
        words = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
        raise InvalidRule(f"This is not a pattern of RE2: {words}.", field="pattern") from None


# Reading an event

Texts = tuple[str, ...]
Read = Callable[[AlertEvent], Texts]


@lru_cache(1000)
def _reader(name: str) -> Read:
    """The values of a field of an event, none when it is not there."""
    if name.startswith("labels."):
        label = name.removeprefix("labels.")
        return lambda event: _texts(event.labels.get(label))
    if name.startswith("metadata."):
        path = name.removeprefix("metadata.")
        return lambda event: _texts(_follow(event.metadata, path))
    return lambda event: _texts(getattr(event, name))


def _follow(value: Any, path: str) -> Any:
    """What stands at the end of the path. A key with dots in it is found when it is the rest of the path."""
    while True:
        if isinstance(value, dict):
            if path in value:
                return value[path]
            step, dot, path = path.partition(".")
            value = value.get(step)
        elif isinstance(value, list):
            step, dot, path = path.partition(".")
            is_place = step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value)
            value = value[int(step)] if is_place else None
        else:
            return None
        if not dot:
            return value


def _texts(value: Any) -> Texts:
    if isinstance(value, str):
        value = value[:MAX_MATCHED].strip()
        return (value,) if value else ()
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list):
        return tuple(t for v in value[:MOST_ELEMENTS] if not isinstance(v, list) for t in _texts(v))
    return ()


def _number(value: float) -> Texts:
    try:
        return (str(value),)
    except ValueError:  # more digits than Python writes
        return ()


# Conditions as functions

Test = Callable[[AlertEvent, datetime], bool]


def _test(condition: AnyCondition, time_zone: str) -> Test:
    if isinstance(condition, Hours):
        return _hours_test(condition, ZoneInfo(condition.time_zone or time_zone))
    read = _reader(condition.field)
    match condition:
        case Equals(value=value):
            value = value.strip()
            if not value:
                return lambda event, at: not read(event)
            return lambda event, at: value in read(event)
        case Differs(value=value):
            value = value.strip()
            if not value:
                return lambda event, at: bool(read(event))
            return lambda event, at: value not in read(event)
        case In(values=values):
            wanted = frozenset(value.strip() for value in values)
            return lambda event, at: not wanted.isdisjoint(read(event) or ("",))
        case Matches(pattern=pattern):
            search = _pattern(pattern).search
            return lambda event, at: any(search(_bytes(text)) is not None for text in _first(read(event)))
        case Exists():
            return lambda event, at: _is_there(event, condition.field)
        case _:
            return lambda event, at: not _is_there(event, condition.field)


def _first(texts: Texts) -> Iterator[str]:
    """The first of them, until they are MOST_SEARCHED characters together."""
    left = MOST_SEARCHED
    for text in texts:
        if left <= 0:
            return
        left -= len(text)
        yield text


def _bytes(text: str) -> bytes:
    return text[:MAX_MATCHED].encode("utf-8", "replace")[:MAX_MATCHED]


def _is_there(event: AlertEvent, name: str) -> bool:
    """Also of objects, which have no text."""
    if name.startswith("metadata."):
        value = _follow(event.metadata, name.removeprefix("metadata."))
        return bool(_texts(value)) if isinstance(value, str) else value is not None
    return bool(_reader(name)(event))


def _hours_test(hours: Hours, zone: ZoneInfo) -> Test:
    begins, ends = time.fromisoformat(hours.from_), time.fromisoformat(hours.until)
    days = frozenset(map(WEEKDAYS.index, hours.weekdays)) or frozenset(range(7))

    def test(event: AlertEvent, at: datetime) -> bool:
        local = at.astimezone(zone)
        clock, today = local.time(), local.weekday()
        if begins < ends:
            return begins <= clock < ends and today in days
        if begins == ends:
            # From this time of the day to the same of the next.
            return (today if clock >= begins else (today - 1) % 7) in days
        return (clock >= begins and today in days) or (clock < ends and (today - 1) % 7 in days)

    return test


# Templates

Part = str | Read


def _parts(template: str) -> list[Part]:
    """A template taken apart. Raises InvalidRule."""
    parts: list[Part] = []
    for token in re.findall(r"\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+", template):
        if token in ("{{", "}}"):
            parts.append(token[0])
        elif token in ("{", "}"):
            raise InvalidRule(
                "A brace has no partner; write {{ or }} for the brace itself.", field="template"
            )
        elif token[0] == "{":
            name = token[1:-1].strip()
            _check_field(name)
            parts.append(_reader(name))
        else:
            parts.append(token)
    return parts


def _fill(parts: Iterable[Part], event: AlertEvent) -> str:
    """In one line: blanks and line breaks become single blanks."""
    filled = (part if isinstance(part, str) else ", ".join(part(event))[:MAX_MATCHED] for part in parts)
    return " ".join("".join(filled).split())


# Rules

FIRING, RESOLVED = EventStatus.FIRING, EventStatus.RESOLVED


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What becomes of an event.

    `grouping`: alerts with the same text share an incident of their service; None leaves that to the integration.
    `wait`: it becomes an alert if it lasts so long. `threshold`: it becomes one when it was sent so often within so
    long. `matched` are the names of the rules that had a say, in their order.
    """

    event: AlertEvent
    dropped: bool = False
    service_id: UUID | None = None
    grouping: str | None = None
    wait: timedelta | None = None
    threshold: tuple[int, timedelta] | None = None
    matched: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        return self.wait is not None or self.threshold is not None


class CompiledRule(NamedTuple):
    name: str
    tests: tuple[Test, ...]
    drops: bool
    severity: Severity | None
    title: list[Part] | None
    grouping: list[Part] | None
    service_id: UUID | None
    wait: timedelta | None
    threshold: tuple[int, timedelta] | None
    stops: bool


class Ruleset:
    """An integration's rules, ready to be applied; False when there are none."""

    __slots__ = ("_rules", "service_ids")

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        self._rules = tuple(rules)
        # Those that verdicts may name.
        self.service_ids = frozenset(rule.service_id for rule in self._rules if rule.service_id)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def apply(self, event: AlertEvent, *, at: datetime) -> Verdict:
        """What becomes of the event that came at this instant. Raises nothing.

        The dedup key and the status stay as they are. Only what fires can be held, and a resolve is never dropped.
        """
        service_id: UUID | None = None
        grouping: str | None = None
        wait: timedelta | None = None
        threshold: tuple[int, timedelta] | None = None
        matched: list[str] = []
        for rule in self._rules:
            if not all(test(event, at) for test in rule.tests):
                continue
            matched.append(rule.name)
            if rule.drops:
                if event.status != RESOLVED:
                    return Verdict(event, dropped=True, matched=tuple(matched))
                break
            if rule.severity is not None and rule.severity != event.severity:
                event = msgspec.structs.replace(event, severity=rule.severity)
            if rule.title is not None:
                title = _fill(rule.title, event)[:MAX_TITLE].rstrip()
                event = msgspec.structs.replace(event, title=title or event.title)
            if rule.grouping is not None:
                grouping = _bounded(_fill(rule.grouping, event)) or grouping
            service_id = rule.service_id or service_id
            if event.status == FIRING:
                wait = rule.wait or wait
                threshold = rule.threshold or threshold
            if rule.stops:
                break
        return Verdict(event, False, service_id, grouping, wait, threshold, tuple(matched))


NO_RULES = Ruleset(())


def compile_rules(rows: "Iterable[IntegrationRule]", *, time_zone: str) -> Ruleset:
    """The rules that are switched on, in the order given; `time_zone` (IANA) is for hours that name none.

    A rule that cannot be read is left out and logged: the alerts come in, with or without it.
    """
    compiled = []
    for row in rows:
        if not row.is_enabled:
            continue
        try:
            compiled.append(compile_rule(row.name, row.conditions, row.actions, time_zone=time_zone))
        except InvalidRule as fault:
            logger.error("rule %s of integration %s: %s %s", row.pk, row.integration_id, fault.field, fault)
    return Ruleset(compiled)


def compile_rule(name: str, conditions: Any, actions: Any, *, time_zone: str) -> CompiledRule:
    """Raises InvalidRule."""
    tests = tuple(_test(condition, time_zone) for condition in read_conditions(conditions))
    does: dict[type, Any] = {type(action): action for action in read_actions(actions)}
    severity, title, group = does.get(SetSeverity), does.get(SetTitle), does.get(Group)
    service, delay, threshold = does.get(SetService), does.get(Delay), does.get(Threshold)
    return CompiledRule(
        name=name,
        tests=tests,
        drops=Drop in does,
        severity=severity and severity.severity,
        title=title and _parts(title.title),
        grouping=group and _parts(group.by),
        service_id=service and service.service,
        wait=delay and timedelta(minutes=delay.minutes),
        threshold=threshold and (threshold.times, timedelta(minutes=threshold.minutes)),
        stops=Stop in does,
    )


def compile_conditions(conditions: Iterable[OnField]) -> Callable[[AlertEvent], bool]:
    """Whether an event meets all of some conditions on fields, read before."""
    tests = [_test(condition, "UTC") for condition in conditions]  # type: ignore[arg-type]
    always = datetime.min.replace(tzinfo=UTC)
    return lambda event: all(test(event, always) for test in tests)


def _bounded(text: str) -> str:
    """Texts beyond MAX_GROUPING end in their digest instead."""
    if len(text) <= MAX_GROUPING:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return text[: MAX_GROUPING - len(digest)] + digest
