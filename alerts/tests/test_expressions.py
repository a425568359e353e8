"""Expressions: what they pick, and that none takes the process's time or memory."""

import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.exceptions import InvalidExpression
from alerts.expressions import FILTERS, MAX_EXPRESSION, MAX_TEXT, compile_expression

PAYLOAD = {
    "title": " Disk full ",
    "n": 5,
    "ok": True,
    "nothing": None,
    "items": [{"a": 1, "b": "x"}, {"a": 2}],
    "deep": {"er": {"est": "gold"}},
    "values": "not a method",
}


def pick(text, payload=PAYLOAD, whole=None):
    return compile_expression(text)(payload, whole)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n", 5),
        ("deep.er.est", "gold"),
        ("items[?a > `1`].a | [0]", 2),
        ("items[*].b", ["x"]),
        ("join('-', [deep.er.est, values])", "gold-not a method"),
        ("not_null(nope, title)", " Disk full "),
        ("nope", None),
        ("{{ payload.title }}", "Disk full"),
        ("{{ payload.items[1].a }}/{{ payload['n'] + 1 }}", "2/6"),
        ("{{ payload.values }}", "not a method"),
        ("{{ payload.nope.at.all }}", ""),
        ("{{ payload.nothing }}", ""),
        ("{{ payload.ok }}", "true"),
        ("{{ payload.deep }}", '{"er":{"est":"gold"}}'),
        ("{% if payload.n > 3 and payload.ok %}big{% else %}small{% endif %}", "big"),
        ("{{ 'yes' if payload.deep.er.est in ['gold', 'iron'] else 'no' }}", "yes"),
        ("{{ payload.nope|default('none') }}", "none"),
        ("{{ payload.title|trim|upper|replace('FULL', 'empty')|truncate(6) }}", "DISK e"),
        ("{{ payload.title|regex_search('(\\\\w+) full') }}", "Disk"),
        ("{{ payload.title|regex_replace('[aeiou]', '_') }}", "D_sk f_ll"),
        ("{{ payload.items|length }} {{ payload.items|first|tojson }}", '2 {"a":1,"b":"x"}'),
        ("{{ '12.6'|float|round }} {{ '7 '|int }} {{ payload.items|last }}", '13 7 {"a":2}'),
        ("{{ payload.title ~ payload.n }}", " Disk full 5".strip()),
    ],
)
def test_picks(text, value):
    assert pick(text) == value


def test_whole_is_what_the_payload_is_a_part_of():
    assert pick("{{ whole.site }}: {{ payload.n }}", whole={"site": "eu"}) == "eu: 5"


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "foo(@)",
        "{{ payload.",
        "{{ 2 * 2 }}",
        "{{ 2 ** 9 }}",
        "{{ '%9d' % 1 }}",
        "{{ range(9) }}",
        "{{ payload.title.upper() }}",
        "{% for a in payload.items %}{{ a }}{% endfor %}",
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ self }}",
        "{{ lipsum }}",
        "{{ payload|attr('x') }}",
        "{{ payload.title|center(9) }}",
        "{{ payload.title|format(1) }}",
        "{{ payload.title is callable }}",
        "{{ payload.title|truncate(length=3) }}",
        "[@, @, @, @, @][] | [@, @, @, @, @][] | [0]",
        "to_string(to_string(to_string(@)))",
        f"join('{'x' * 200}', values(@))",
        "(" * 900,
        "{{ " + "(" * 400 + "1" + ")" * 400 + " }}",
        "{{ payload.title }}" * 60,
        "x" * (MAX_EXPRESSION + 1),
    ],
)
def test_refused_when_it_is_written(text):
    with pytest.raises(InvalidExpression) as fault:
        compile_expression(text)
    assert fault.value.detail


@pytest.mark.parametrize(
    "text",
    [
        "sort(items)",
        "{{ payload.title + 1 }}",
        "{{ 'x'|float }}",
        "{{ '1e400'|float|int }}",
        "{{ 1|regex_search('(') }}",
    ],
)
def test_what_cannot_be_done_with_a_payload_is_said(text):
    expression = compile_expression(text)
    with pytest.raises(InvalidExpression):
        expression(PAYLOAD, None)


def test_nothing_of_python_is_reached():
    for name in ("__class__", "__init__", "__globals__", "mro", "keys", "copy", "format"):
        for text in ("payload." + name, "payload.title." + name, f"payload['{name}']"):
            assert pick("{{ " + text + " }}") == ""


HOSTILE = {"text": "a" * 4_000_000, "list": [1] * 200_000, "texts": ["a" * 100] * 10_000}


@pytest.mark.parametrize(
    "text",
    [
        "{{ payload.text"
        + "|replace('a', '"
        + "a" * 90
        + "')" * 1
        + "|replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 15
        + " }}",
        "{{ " + " ~ ".join(["payload.text"] * 45) + " }}",
        "{{ payload|tojson }}",
        "{{ payload.list|join(', ') }}",
        "{{ payload.text|regex_search('(a*)*b') }}",
        "{{ payload.text|regex_replace('a', '" + "b" * 180 + "') }}",
        "join('" + "-" * 90 + "', texts)",
        "[text, text, text, text] | join('', @)",
        "list[?@ > `5`]",
        "max(list)",
    ],
)
def test_hostile_payloads_take_little(text):
    expression = compile_expression(text)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    found = expression(HOSTILE, HOSTILE)
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    assert "{" not in text or len(found) <= MAX_TEXT


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=4),
    max_leaves=10,
)


@given(name=st.sampled_from(sorted(FILTERS)), payload=json_values)
def test_filters_give_a_text_or_say_that_they_cannot(name, payload):
    argument = {
        "truncate": "(3)",
        "replace": "('a', 'b')",
        "regex_search": "('a')",
        "regex_replace": "('a', 'b')",
    }
    try:
        found = pick("{{ payload|" + name + argument.get(name, "") + " }}", payload)
    except InvalidExpression:
        return
    assert isinstance(found, str)
