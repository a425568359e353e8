"""Whatever is sent, the API answers in its own words and never fails."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.tests.test_formats import json_values

ROUTES = [
    ("POST", "close"),
    ("POST", "acknowledge"),
    ("POST", "unacknowledge"),
    ("POST", "snooze"),
    ("POST", "escalate"),
    ("POST", "assign"),
    ("POST", "responders"),
    ("POST", "notes"),
    ("POST", "tags"),
    ("POST", "details"),
    ("PUT", "message"),
    ("PUT", "description"),
    ("PUT", "priority"),
]
FIELDS = [
    *("user", "note", "source", "endTime", "escalation", "owner", "responder", "tags", "details", "message"),
    *("description", "priority", "id", "name", "username", "type", "interval", "intervalUnit", "enabled"),
    *("alertTags", "alertPriority"),
]
objects = st.dictionaries(
    st.sampled_from(FIELDS),
    json_values | st.dictionaries(st.sampled_from(FIELDS), json_values),
    max_size=5,
)
instants = st.datetimes().map(lambda at: at.isoformat()) | st.sampled_from(
    ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"]
)
calm = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(("method", "path"), ROUTES)
@given(body=objects | json_values)
@calm
def test_any_body(genie, method, path, body):
    genie.pager.clock.advance(seconds=1)  # hypothesis seeds chance alike: another instant, other ids
    alert = genie.fire()
    response = genie.call(method, f"alerts/{alert.pk}/{path}", body)
    assert response.status_code in (202, 400, 422)
    if response.status_code == 202:
        genie.get(f"alerts/requests/{response.json()['requestId']}")
    genie.get(f"alerts/{alert.pk}")


@given(until=instants)
@calm
def test_any_instant(genie, until):
    genie.pager.clock.advance(seconds=1)
    alert = genie.fire()
    assert genie.call("POST", f"alerts/{alert.pk}/snooze", {"endTime": until}).status_code in (202, 422)
    assert genie.call("GET", "alerts", query=f'createdAt > "{until}"').status_code in (200, 422)


@given(body=objects)
@calm
def test_any_heartbeat(genie, body):
    genie.pager.clock.advance(seconds=1)
    response = genie.call(
        "POST", "heartbeats", {"interval": 1, "intervalUnit": "days", "enabled": True, **body}
    )
    assert response.status_code in (201, 400, 409, 422)
    genie.get("heartbeats")


words = st.sampled_from(
    [
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        ":",
        ">",
        "<=",
        '"',
        "*",
        "status",
        "tag",
        "count",
        "createdAt",
        "open",
        "P1",
        "7",
    ]
)


@given(query=st.lists(words, max_size=12).map(" ".join) | st.text(max_size=40))
@settings(calm, max_examples=150)
def test_any_query(genie, query):
    assert genie.call("GET", "alerts", query=query).status_code in (200, 400, 422)


@given(identifier=st.text(min_size=1, max_size=20), kind=st.sampled_from(["id", "alias", "tiny"]))
@calm
def test_any_identifier(genie, identifier, kind):
    response = genie.client.get(
        f"/v2/alerts/{identifier}/notes",
        {"identifierType": kind},
        headers={"Authorization": f"GenieKey {genie.key}"},
    )
    assert response.status_code in (400, 404, 405)


@pytest.mark.parametrize("path", ["alerts/%00", "alerts?query=%00", "heartbeats/a%00/ping"])
def test_nul_in_the_address(genie, path):
    response = genie.client.get(f"/v2/{path}", headers={"Authorization": f"GenieKey {genie.key}"})
    assert (response.status_code, set(json.loads(response.content))) == (
        400,
        {"message", "took", "requestId"},
    )


def test_large_body(genie, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert genie.call("POST", "alerts/x/notes", {"note": "x" * 200}).status_code == 413
