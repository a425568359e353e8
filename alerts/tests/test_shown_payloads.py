"""Payloads with their keys' paths: each leads to the value beside it."""

import json
import re
from datetime import UTC, datetime
from html import unescape

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.samples import Sample
from alerts.shown_payloads import joined, payload_of, with_paths

BUTTON = re.compile(r'<button class="json-key" type="button" data-path="([^"]*)">([^<]*)</button>')


def shown(body):
    return with_paths(payload_of(Sample(datetime.now(UTC), body, {})))


def paths(body):
    return [unescape(path) for path, _ in BUTTON.findall(shown(body))]


def test_each_key_knows_its_path():
    body = b'{"a":1,"b":{"c d":[1,{"e":{}},[{"f":[]}]],"g":null},"h":[],"i":"}"}'
    assert paths(body) == ["a", "b", 'b."c d"', 'b."c d"[1].e', 'b."c d"[2][0].f', "b.g", "h", "i"]
    assert paths(b'[{"a":1},{"a":[{"b":2}]}]') == ["[0].a", "[1].a", "[1].a[0].b"]
    assert paths(b"[]") == paths(b"5") == paths(b"") == paths(b"title=x") == []


def test_text_stays_as_it_was():
    body = b'{"a":1.50,"<b>":["x\\n\\u2028","\xe2\x80\xa8"]}'
    text = unescape(re.sub("<[^>]*>", "", shown(body)))
    assert text == payload_of(Sample(datetime.now(UTC), body, {})).text


def test_text_that_is_cut_anywhere_is_shown(monkeypatch):
    body = json.dumps({"first": {"second": [{"third": "x"}, 5]}}).encode()
    whole = payload_of(Sample(datetime.now(UTC), body, {})).text
    for length in range(len(whole)):
        monkeypatch.setattr("alerts.shown_payloads.MOST_SHOWN", length)
        assert unescape(re.sub("<[^>]*>", "", shown(body))) == whole[:length]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(value=values)
def test_paths_lead_where_they_say(value):
    body = json.dumps(value).encode()
    found = paths(body)
    assert len(found) == sum(1 for _ in keys(value))
    assert [jmespath.search(path, value) for path in found] == list(keys(value))


def keys(value):
    """The value of each key, in the order in which they are written."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(value, dict):
            yield inner
        yield from keys(inner)


@pytest.mark.parametrize(
    ("steps", "path"),
    [([], ""), (["", "a"], "a"), (["", "[0]", "b"], "[0].b"), (["a", "[1]", "[2]"], "a[1][2]")],
)
def test_steps_are_joined(steps, path):
    assert joined(steps) == path
