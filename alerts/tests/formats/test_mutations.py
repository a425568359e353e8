"""Every reader on what nearly is a real payload: golden files with any of their values replaced by any JSON."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.events import AlertEvent, EventFault, find_nul
from alerts.exceptions import MalformedPayload
from alerts.formats import FORMATS
from alerts.tests.formats.sending import PAYLOADS
from incidents.enums import Severity

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def golden_files():
    for path in sorted(PAYLOADS.glob("*.json")):
        source = path.stem.partition("_")[0]
        if source in FORMATS and FORMATS[source].read:
            yield pytest.param(source, path, id=path.stem)


def places(value, path=()):
    """The paths of all values within a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def replaced(value, path, other):
    *outer, last = path
    for key in outer:
        value = value[key]
    value[last] = other


@pytest.mark.parametrize(("source", "path"), golden_files())
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_nearly_real_payloads_give_events_faults_or_a_named_failure(
    source: str, path: Path, data: st.DataObject
):
    golden = json.loads(path.read_text())
    payload = copy.deepcopy(golden)
    for place in data.draw(st.lists(st.sampled_from(list(places(golden))), min_size=1, max_size=3)):
        try:
            replaced(payload, place, data.draw(json_values.filter(lambda value: not find_nul(value))))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier replacement took the place away
    try:
        read = FORMATS[source].read(payload, {})
    except MalformedPayload:
        return
    for event in read:
        assert isinstance(event, AlertEvent | EventFault)
        if isinstance(event, AlertEvent):
            assert 0 < len(event.dedup_key) <= 512
            assert 0 < len(event.title) <= 1024 or event.status != "firing"
            assert len(event.source) <= 255
            assert isinstance(event.severity, Severity)
            assert isinstance(event.name, str)
            assert isinstance(event.by, str)
            assert all(isinstance(key, str) and isinstance(value, str) for key, value in event.labels.items())
            assert all(isinstance(key, str) for key in event.metadata)
            json.dumps(event.metadata)
