"""Rules: what conditions hold for, and what actions make of an event."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts import rules
from alerts.enums import EventStatus
from alerts.events import MAX_TITLE, AlertEvent
from alerts.exceptions import InvalidRule
from alerts.models import IntegrationRule
from alerts.rules import MAX_GROUPING, Ruleset, Verdict, compile_rule, compile_rules
from incidents.enums import Severity

FIRING, RESOLVED, ACKNOWLEDGED = EventStatus.FIRING, EventStatus.RESOLVED, EventStatus.ACKNOWLEDGED
NOW = datetime(2026, 7, 17, 10, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"
SERVICE = "0198c5c0-0000-7000-8000-000000000001"
DROP, STOP = {"do": "drop"}, {"do": "stop"}


def event(**facts):
    usual = {
        "dedup_key": "disk-db1",
        "status": FIRING,
        "title": "Disk full",
        "severity": Severity.HIGH,
        "name": "Disk",
        "source": "db1",
    }
    return AlertEvent(**(usual | facts))


def holds(condition, event_, at=NOW, time_zone="UTC"):
    rule = compile_rule("Rule", [condition], [DROP], time_zone=time_zone)
    return Ruleset([rule]).apply(event_, at=at).matched == ("Rule",)


def ruleset(*pairs):
    """Of (conditions, actions), called a, b, c, …"""
    return Ruleset(
        compile_rule("abcdefgh"[place], conditions, actions, time_zone="UTC")
        for place, (conditions, actions) in enumerate(pairs)
    )


def apply(*actions, to=None, conditions=()):
    return ruleset((list(conditions), list(actions))).apply(to or event(), at=NOW)


# Conditions


@pytest.mark.parametrize(
    ("condition", "holds_"),
    [
        ({"test": "equals", "field": "title", "value": "Disk full"}, True),
        ({"test": "equals", "field": "title", "value": "  Disk full "}, True),
        ({"test": "equals", "field": "title", "value": "disk full"}, False),
        ({"test": "equals", "field": "severity", "value": "high"}, True),
        ({"test": "equals", "field": "status", "value": "firing"}, True),
        ({"test": "equals", "field": "dedup_key", "value": "disk-db1"}, True),
        ({"test": "equals", "field": "labels.env", "value": "prod"}, True),
        ({"test": "equals", "field": "labels.a.b", "value": "dotted"}, True),
        ({"test": "equals", "field": "labels.no", "value": ""}, True),
        ({"test": "equals", "field": "metadata.n", "value": "5"}, True),
        ({"test": "equals", "field": "metadata.on", "value": "true"}, True),
        ({"test": "equals", "field": "metadata.deep.er.3", "value": "x"}, True),
        ({"test": "equals", "field": "metadata.deep.dot.ted", "value": "y"}, True),
        ({"test": "equals", "field": "metadata.list.1.k", "value": "v"}, True),
        ({"test": "equals", "field": "metadata.list", "value": "first"}, True),
        ({"test": "equals", "field": "metadata.list.2", "value": "first"}, False),
        ({"test": "differs", "field": "labels.env", "value": "prod"}, False),
        ({"test": "differs", "field": "labels.env", "value": "test"}, True),
        ({"test": "differs", "field": "labels.no", "value": "prod"}, True),
        ({"test": "differs", "field": "labels.no", "value": ""}, False),
        ({"test": "in", "field": "labels.env", "values": ["test", "prod"]}, True),
        ({"test": "in", "field": "labels.env", "values": ["test"]}, False),
        ({"test": "in", "field": "labels.no", "values": ["test", ""]}, True),
        ({"test": "matches", "field": "title", "pattern": "full$"}, True),
        ({"test": "matches", "field": "title", "pattern": "^full"}, False),
        ({"test": "matches", "field": "title", "pattern": "(?i)DISK"}, True),
        ({"test": "matches", "field": "metadata.list", "pattern": "^f.*t$"}, True),
        ({"test": "matches", "field": "labels.no", "pattern": ".*"}, False),
        ({"test": "matches", "field": "labels.city", "pattern": "^Z.rich$"}, True),
        ({"test": "exists", "field": "labels.env"}, True),
        ({"test": "exists", "field": "labels.no"}, False),
        ({"test": "exists", "field": "labels.blank"}, False),
        ({"test": "exists", "field": "metadata.deep"}, True),
        ({"test": "exists", "field": "metadata.null"}, False),
        ({"test": "exists", "field": "metadata.blank"}, False),
        ({"test": "missing", "field": "labels.no"}, True),
        ({"test": "missing", "field": "metadata.deep"}, False),
        ({"test": "missing", "field": "metadata.blank"}, True),
    ],
)
def test_conditions_on_fields(condition, holds_):
    labels = {"env": "prod", "a.b": "dotted", "city": "Zürich", "blank": "  "}
    metadata = {
        "n": 5,
        "on": True,
        "null": None,
        "blank": " ",
        "deep": {"er": [0, 1, 2, "x"], "dot.ted": "y"},
        "list": ["first", {"k": "v"}],
    }
    assert holds(condition, event(labels=labels, metadata=metadata)) is holds_


@pytest.mark.parametrize(
    ("hours", "at", "holds_"),
    [
        ({"from": "09:00", "until": "17:00"}, "2026-07-17T09:00", True),
        ({"from": "09:00", "until": "17:00"}, "2026-07-17T16:59:59.999999", True),
        ({"from": "09:00", "until": "17:00"}, "2026-07-17T17:00", False),
        ({"from": "09:00", "until": "17:00", "weekdays": ["sat"]}, "2026-07-17T12:00", False),
        ({"from": "09:00", "until": "17:00", "weekdays": ["thu", "fri"]}, "2026-07-17T12:00", True),
        # The night from Friday to Saturday is Friday's.
        ({"from": "22:00", "until": "06:00", "weekdays": ["fri"]}, "2026-07-17T23:00", True),
        ({"from": "22:00", "until": "06:00", "weekdays": ["fri"]}, "2026-07-18T05:59", True),
        ({"from": "22:00", "until": "06:00", "weekdays": ["fri"]}, "2026-07-18T06:00", False),
        ({"from": "22:00", "until": "06:00", "weekdays": ["fri"]}, "2026-07-17T05:00", False),
        ({"from": "22:00", "until": "06:00", "weekdays": ["sun"]}, "2026-07-20T05:00", True),
        # From eight to eight.
        ({"from": "08:00", "until": "08:00"}, "2026-07-17T03:00", True),
        ({"from": "08:00", "until": "08:00", "weekdays": ["fri"]}, "2026-07-18T07:59", True),
        ({"from": "08:00", "until": "08:00", "weekdays": ["fri"]}, "2026-07-17T07:59", False),
        ({"from": "09:00", "until": "17:00", "time_zone": "Asia/Tokyo"}, "2026-07-17T08:59", False),
    ],
)
def test_hours_on_the_teams_clocks(hours, at, holds_):
    """`at` is local: the sender's time zone is nothing to a rule."""
    zone = rules.ZoneInfo(hours.get("time_zone") or BERLIN)
    at = datetime.fromisoformat(at).replace(tzinfo=zone).astimezone(UTC)
    assert holds({"test": "hours", **hours}, event(), at=at, time_zone=BERLIN) is holds_


@pytest.mark.parametrize(
    ("day", "minutes_of_the_night"),
    [("2026-03-29", 60), ("2026-10-25", 180), ("2026-07-17", 120)],
)
def test_hours_follow_the_clocks_when_they_change(day, minutes_of_the_night):
    """From 02:00 to 04:00 in Berlin: an hour is missing in March, and one comes twice in October."""
    begins = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=12)
    hours = {"test": "hours", "from": "02:00", "until": "04:00"}
    rule = compile_rule("Night", [hours], [DROP], time_zone=BERLIN)
    minutes = [begins + timedelta(minutes=n) for n in range(24 * 60)]
    assert sum(Ruleset([rule]).apply(event(), at=at).dropped for at in minutes) == minutes_of_the_night


NAMES = st.sampled_from(["env", "a.b", "a", "b", "0", "1"])
SHORT = st.text("ab .1", max_size=3)
LEAVES = SHORT | st.none() | st.booleans() | st.integers(-2, 2) | st.just(1.5)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.builds(
    event,
    status=st.sampled_from(EventStatus),
    severity=st.sampled_from(Severity),
    title=st.text("ab ", min_size=1, max_size=4),
    source=SHORT,
    labels=st.dictionaries(NAMES, SHORT, max_size=3),
    metadata=st.dictionaries(NAMES, JSON, max_size=3),
)
FIELDS = st.one_of(
    st.sampled_from(["title", "source"]),
    NAMES.map(lambda name: f"labels.{name}"),
    st.lists(NAMES, min_size=1, max_size=3).map(lambda path: "metadata." + ".".join(path)),
)
CONDITIONS = st.one_of(
    st.builds(lambda **c: c, test=st.sampled_from(["equals", "differs"]), field=FIELDS, value=SHORT),
    st.builds(
        lambda **c: c, test=st.just("in"), field=FIELDS, values=st.lists(SHORT, min_size=1, max_size=3)
    ),
    st.builds(
        lambda **c: c,
        test=st.just("matches"),
        field=FIELDS,
        pattern=st.sampled_from(["a", "^a", "b$", "a|b", "^.$", "[^a]", "^$"]),
    ),
    st.builds(lambda **c: c, test=st.sampled_from(["exists", "missing"]), field=FIELDS),
)


def found(event_, field):
    """The JSON at a field's end, and None when there is none: by trying every way to part the path."""
    if not field.startswith(("labels.", "metadata.")):
        return getattr(event_, field)
    kind, path = field.split(".", 1)
    if kind == "labels":
        return event_.labels.get(path)
    return walk(event_.metadata, path.split("."))


def walk(value, steps):
    if not steps:
        return value
    if isinstance(value, dict):
        whole = ".".join(steps)
        return value[whole] if whole in value else walk(value.get(steps[0]), steps[1:])
    if isinstance(value, list):
        places = {str(place): item for place, item in enumerate(value)}
        return walk(places.get(steps[0]), steps[1:])
    return None


def words(value):
    many = value if isinstance(value, list) else [value]
    written = [str(v).lower() if isinstance(v, bool) else str(v).strip() for v in many if is_scalar(v)]
    return [text for text in written if text]


def is_scalar(value):
    return isinstance(value, str | bool | int | float)


def naively(condition, event_):
    value = found(event_, condition["field"])
    values = words(value)
    wanted = [text.strip() for text in condition.get("values", [condition.get("value", "")])]
    match condition["test"]:
        case "equals" | "in":
            return any(text in values if text else not values for text in wanted)
        case "differs":
            return wanted[0] not in values if wanted[0] else bool(values)
        case "matches":
            return any(re.search(condition["pattern"], text) for text in values)
        case "exists":
            return not (value is None or (isinstance(value, str) and not value.strip()))
        case "missing":
            return value is None or (isinstance(value, str) and not value.strip())


@settings(max_examples=500)
@given(CONDITIONS, EVENTS)
def test_conditions_agree_with_a_naive_model(condition, event_):
    assert holds(condition, event_) is naively(condition, event_)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ANY_EVENTS = st.builds(
    event,
    status=st.sampled_from(EventStatus),
    title=st.text(min_size=1),
    source=st.text(),
    labels=st.dictionaries(st.text(), st.text()),
    metadata=st.dictionaries(st.text(), ANY_JSON),
)


@st.composite
def events_and_fields(draw):
    """With fields that are there, to go deep."""
    event_ = draw(ANY_EVENTS)
    fields, value, path = [], event_.metadata, []
    while isinstance(value, dict | list) and value:
        step = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        value = value[step]
        path.append(str(step))
        fields.append("metadata." + ".".join(path))
    fields += [f"labels.{name}" for name in event_.labels]
    field = draw(st.sampled_from(["title", "labels.x", "metadata.0.1", *fields]))
    return event_, field


@given(events_and_fields(), st.text(max_size=20))
def test_no_event_makes_a_rule_fail(event_and_field, text):
    event_, field = event_and_field
    braced = "".join(brace * 2 if (brace := c) in "{}" else c for c in text)
    try:
        chain = ruleset(
            ([{"test": "equals", "field": field, "value": text}], [{"do": "set_severity", "severity": "low"}]),
            ([{"test": "matches", "field": field, "pattern": ".$"}], [{"do": "delay", "minutes": 1}]),
            ([{"test": "missing", "field": field}], [{"do": "threshold", "times": 2, "minutes": 1}]),
            ([], [{"do": "set_title", "title": f"{braced} {{metadata.a}}x{{labels.b}}"}, {"do": "group", "by": "{title}"}]),
            ([{"test": "exists", "field": field}], [DROP]),
        )  # fmt: skip
    except InvalidRule:
        return
    verdict = chain.apply(event_, at=NOW)
    assert 0 < len(verdict.event.title) <= max(MAX_TITLE, len(event_.title))
    assert (verdict.event.dedup_key, verdict.event.status) == (event_.dedup_key, event_.status)
    assert not (verdict.dropped and event_.status == RESOLVED)
    assert not (verdict.is_held and event_.status != FIRING)


@pytest.mark.parametrize(
    ("pattern", "is_found"),
    [
        ("(a+)+$", True),  # the texts are cut before their “!”
        ("(a|a)*$", True),
        ("(a|aa)+$", True),
        ("(.*)(.*)(.*)(.*)(.*)x$", False),
        ("(a{0,50}){0,20}b", False),
        ("^(([a-z])+.)+X$", False),
    ],
)
def test_patterns_that_take_years_elsewhere_come_to_an_end(pattern, is_found):
    rule = ruleset(([{"test": "matches", "field": "metadata.x", "pattern": pattern}], [DROP]))
    long = event(metadata={"x": ["a" * 100_000 + "!"] * 20})
    assert rule.apply(long, at=NOW).dropped is is_found


def test_a_pattern_is_looked_for_in_the_first_texts_of_a_list():
    rule = ruleset(([{"test": "matches", "field": "metadata.x", "pattern": "b"}], [DROP]))
    text = "a" * rules.MAX_MATCHED
    assert rule.apply(event(metadata={"x": [text] * 3 + ["b"]}), at=NOW).dropped
    assert not rule.apply(event(metadata={"x": [text] * 4 + ["b"]}), at=NOW).dropped


def test_fields_of_megabytes_are_cut_before_they_are_worked_on():
    huge = event(labels={"x": " " + "a b" * 1_000_000}, metadata={"y": ["z" * 500_000] * 8})
    rule = ruleset(
        *[([{"test": "differs", "field": "labels.x", "value": "a"}] * 20, [{"do": "set_title", "title": "{metadata.y}" * 80}])] * 8
    )  # fmt: skip
    verdict = rule.apply(huge, at=NOW)
    assert len(verdict.event.title) == MAX_TITLE


# Actions


def test_without_conditions_a_rule_is_for_every_event():
    assert apply(DROP) == Verdict(event(), dropped=True, matched=("a",))


def test_all_conditions_must_hold():
    conditions = [
        {"test": "equals", "field": "title", "value": "Disk full"},
        {"test": "equals", "field": "labels.env", "value": "test"},
    ]
    assert apply(DROP, conditions=conditions) == Verdict(event())
    assert apply(DROP, conditions=conditions, to=event(labels={"env": "test"})).dropped


def test_actions_say_what_becomes_of_it():
    verdict = apply(
        {"do": "set_severity", "severity": "low"},
        {"do": "set_title", "title": "{title} on {source}"},
        {"do": "group", "by": "rack {labels.rack}"},
        {"do": "set_service", "service": SERVICE},
        {"do": "delay", "minutes": 5},
        {"do": "threshold", "times": 3, "minutes": 10},
        to=event(labels={"rack": "r1"}),
    )
    assert verdict == Verdict(
        event(labels={"rack": "r1"}, severity=Severity.LOW, title="Disk full on db1"),
        False,
        UUID(SERVICE),
        "rack r1",
        timedelta(minutes=5),
        (3, timedelta(minutes=10)),
        ("a",),
    )


def test_later_rules_see_what_earlier_ones_changed_and_overrule_them():
    chain = ruleset(
        ([], [{"do": "set_title", "title": "[x] {title}"}, {"do": "set_severity", "severity": "low"}]),
        ([{"test": "equals", "field": "severity", "value": "high"}], [DROP]),
        ([{"test": "matches", "field": "title", "pattern": r"^\[x\]"}], [{"do": "set_severity", "severity": "critical"}]),
        ([], [{"do": "set_title", "title": "{title} ({severity})"}, {"do": "delay", "minutes": 1}]),
        ([], [{"do": "delay", "minutes": 2}]),
    )  # fmt: skip
    assert chain.apply(event(), at=NOW) == Verdict(
        event(title="[x] Disk full (critical)", severity=Severity.CRITICAL),
        wait=timedelta(minutes=2),
        matched=("a", "c", "d", "e"),
    )


def test_drop_and_stop_end_the_rules():
    severity = {"do": "set_severity", "severity": "low"}
    assert ruleset(([], [DROP]), ([], [severity])).apply(event(), at=NOW).matched == ("a",)
    stopped = ruleset(([], [STOP, {"do": "delay", "minutes": 1}]), ([], [severity])).apply(event(), at=NOW)
    assert (stopped.matched, stopped.event, stopped.is_held) == (("a",), event(), True)


@given(st.lists(st.tuples(st.lists(CONDITIONS, max_size=2), st.just([DROP])), max_size=5), EVENTS)
def test_the_end_of_a_problem_is_never_dropped(pairs, event_):
    verdict = ruleset(*pairs).apply(event_, at=NOW)
    assert verdict.dropped is (bool(verdict.matched) and event_.status != RESOLVED)


def test_only_what_fires_is_held():
    for status, held in ((FIRING, True), (RESOLVED, False), (ACKNOWLEDGED, False)):
        verdict = apply(
            {"do": "delay", "minutes": 5},
            {"do": "threshold", "times": 2, "minutes": 1},
            to=event(status=status),
        )
        assert verdict.is_held is held


@pytest.mark.parametrize(
    ("template", "title"),
    [
        ("Plain", "Plain"),
        ("{title}", "Disk full"),
        (
            "{ title }/{name}/{source}/{severity}/{status}/{dedup_key}",
            "Disk full/Disk/db1/high/firing/disk-db1",
        ),
        ("{{title}}", "{title}"),
        ("{{{title}}}", "{Disk full}"),
        ("{labels.host}: {metadata.n.0}", "a\u00e4b: 1"),
        ("{metadata.n}", "1, true, x"),
        ("{metadata.n.3}{metadata.no}", "Disk full"),
        ("  a \n\t b  ", "a b"),
        ("{labels.lines}", "one two"),
        ("{title}" * 140, ("Disk full" * 140)[:MAX_TITLE]),
        (" {labels.no} ", "Disk full"),
    ],
)
def test_title_by_template(template, title):
    given_ = event(labels={"host": "aäb", "lines": "one\r\ntwo"}, metadata={"n": [1, True, "x", {"y": 1}]})
    assert apply({"do": "set_title", "title": template}, to=given_).event.title == title


def test_grouping_that_is_empty_is_left_to_those_before_and_long_ones_stay_apart():
    chain = ruleset(
        ([], [{"do": "group", "by": "{labels.rack}"}]), ([], [{"do": "group", "by": "{labels.no}"}])
    )
    assert chain.apply(event(), at=NOW).grouping is None
    assert chain.apply(event(labels={"rack": "r"}), at=NOW).grouping == "r"
    one, two = (chain.apply(event(labels={"rack": "r" * 2000 + end}), at=NOW).grouping for end in "ab")
    assert one != two and len(one) == len(two) == MAX_GROUPING


# Reading


def refused(conditions=(), actions=(DROP,)):
    with pytest.raises(InvalidRule) as failure:
        compile_rule("Rule", list(conditions), list(actions), time_zone="UTC")
    return failure.value.field


EQUALS = {"test": "equals", "field": "title", "value": "x"}


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({}, "conditions.0"),
        ({"test": "like"}, "conditions.0.test"),
        ({"test": "equals", "field": "title"}, "conditions.0"),
        ({**EQUALS, "value": 5}, "conditions.0.value"),
        ({**EQUALS, "more": 5}, "conditions.0"),
        ({**EQUALS, "field": "labels."}, "conditions.0.field"),
        ({**EQUALS, "field": "host"}, "conditions.0.field"),
        ({**EQUALS, "field": "severity", "value": "worst"}, "conditions.0.value"),
        ({**EQUALS, "value": "x" * 1025}, "conditions.0.value"),
        ({**EQUALS, "value": "a\0b"}, "conditions.0"),
        ({**EQUALS, "field": "labels.\0"}, "conditions.0"),
        ({"test": "in", "field": "title", "values": []}, "conditions.0.values"),
        ({"test": "in", "field": "status", "values": ["firing", "x"]}, "conditions.0.values"),
        ({"test": "matches", "field": "title", "pattern": "("}, "conditions.0.pattern"),
        ({"test": "matches", "field": "title", "pattern": "(?=x)"}, "conditions.0.pattern"),
        ({"test": "matches", "field": "title", "pattern": "((x{1000}){1000}){1000}"}, "conditions.0.pattern"),
        ({"test": "matches", "field": "title", "pattern": ""}, "conditions.0.pattern"),
        ({"test": "hours", "from": "9:00", "until": "10:00"}, "conditions.0.from"),
        ({"test": "hours", "from": "09:00", "until": "24:00"}, "conditions.0.until"),
        ({"test": "hours", "from": "09:00", "until": "10:00\n"}, "conditions.0.until"),
        ({"test": "hours", "from": "09:00", "until": "10:00", "weekdays": ["x"]}, "conditions.0.weekdays.0"),
        ({"test": "hours", "from": "09:00", "until": "10:00", "time_zone": "Mars"}, "conditions.0.time_zone"),
    ],
)
def test_faulty_condition_is_named(condition, field):
    assert refused(conditions=[condition]) == field
    assert refused(conditions=[EQUALS, condition]) == field.replace("0", "1", 1)


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({"do": "explode"}, "actions.0.do"),
        ({"do": "set_severity", "severity": "worst"}, "actions.0.severity"),
        ({"do": "set_title", "title": ""}, "actions.0.title"),
        ({"do": "set_title", "title": "{host}"}, "actions.0.title"),
        ({"do": "set_title", "title": "{title"}, "actions.0.title"),
        ({"do": "set_title", "title": "a\0b"}, "actions.0"),
        ({"do": "group", "by": "}"}, "actions.0.by"),
        ({"do": "set_service", "service": "x"}, "actions.0.service"),
        ({"do": "delay", "minutes": 0}, "actions.0.minutes"),
        ({"do": "delay", "minutes": 10_081}, "actions.0.minutes"),
        ({"do": "threshold", "times": 1, "minutes": 5}, "actions.0.times"),
        ({"do": "threshold", "times": 101, "minutes": 5}, "actions.0.times"),
        ({"do": "threshold", "times": 2, "minutes": 1441}, "actions.0.minutes"),
    ],
)
def test_faulty_action_is_named(action, field):
    assert refused(actions=[action]) == field


def test_what_does_not_go_together_is_refused():
    hours = {"test": "hours", "from": "09:00", "until": "10:00"}
    assert refused(conditions=[hours, hours]) == "conditions"
    assert refused(conditions=[EQUALS] * 21) == "conditions"
    assert refused(conditions=[{**EQUALS, "value": "\ud800"}]) == "conditions"
    assert refused(actions=[]) == "actions"
    assert refused(actions=[DROP, STOP]) == "actions"
    assert refused(actions=[STOP, STOP]) == "actions"


@given(ANY_JSON)
@example({"a": 1})
@example("\ud800")
@example([{"test": "equals", "field": "title", "value": "\udfff"}])
def test_any_json_is_read_or_refused(value):
    for read in (rules.read_conditions, rules.read_actions):
        try:
            assert isinstance(read(value), list)
        except InvalidRule as fault:
            assert fault.field


KINDS = st.sampled_from(["equals", "differs", "in", "matches", "exists", "missing", "hours", "drop", "group"])


@given(
    st.lists(
        st.fixed_dictionaries(
            {"test": KINDS},
            optional={
                "field": st.sampled_from(["title", "labels.x", "severity", "labels."]) | st.text(),
                "value": ANY_JSON | st.text(),
                "values": st.lists(st.text()) | ANY_JSON,
                "pattern": st.text(),
                "from": st.sampled_from(["09:00", "25:00"]),
                "until": st.sampled_from(["09:00", "٠٩:٠٠"]),
                "time_zone": st.sampled_from(["UTC", "../etc", "", "posix/UTC"]) | st.text(),
            },
        ),
        max_size=2,
    )
)
def test_what_is_read_can_be_compiled_and_stored(conditions):
    try:
        read = rules.read_conditions(conditions)
    except InvalidRule:
        return
    compile_rule("Rule", conditions, [DROP], time_zone="UTC")
    stored = msgspec.json.encode(conditions)
    assert b"\\u0000" not in stored
    assert rules.read_conditions(msgspec.json.decode(stored)) == read


def test_rule_that_cannot_be_read_is_left_out_and_logged(caplog):
    def row(name, **facts):
        return IntegrationRule(**({"name": name, "conditions": [], "actions": [STOP]} | facts))

    rows = [row("bad", actions=[{"do": "explode"}]), row("off", is_enabled=False), row("good")]
    assert compile_rules(rows, time_zone="UTC").apply(event(), at=NOW).matched == ("good",)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not compile_rules([], time_zone="UTC")
