"""Zabbix: what our media type sends, and the media type itself."""

import html
import json
import re
import subprocess

import pytest
import yaml
from django.template.loader import render_to_string

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import zabbix
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import outcomes, payload, send, stored
from incidents.enums import Severity
from openalert.tests.programs import needs

TITLE = "Free disk space is low on /srv (93 % used)"
ABSENT = ("event_update_action", "event_update_message", "event_update_user", "event_recovery_id")


def changed(**fields):
    return {**payload("zabbix"), **fields}


def update(action, **fields):
    return changed(
        event_update_status="1", event_update_action=action, event_update_user="Ana Ruiz (ana)", **fields
    )


def test_problem():
    given = payload("zabbix")
    kept = {name: value for name, value in given.items() if name not in (*ABSENT, "event_tags")}
    assert zabbix.read(given, {}) == [
        AlertEvent(
            dedup_key="70412",
            status="firing",
            title=TITLE,
            severity=Severity.HIGH,
            name="Free disk space is low on /srv",
            source="db1.example.com",
            labels={
                "host": "db1",
                "host_groups": "Databases, Linux servers",
                "trigger_id": "23511",
                "scope": "capacity",
                "component": "storage, database",
                "filesystem": "/srv",
                "shop": "true",
            },
            metadata={
                **kept,
                "url": "https://zabbix.example.com/tr_events.php?triggerid=23511&eventid=70412",
                "runbook": "https://wiki.example.com/runbooks/disk",
                "description": "Less than 10 % are left.",
            },
        )
    ]


@pytest.mark.parametrize(
    ("given", "statuses"),
    [
        (changed(event_value="0"), ["resolved"]),
        (changed(event_value=0), ["resolved"]),
        (update("commented", event_value="0"), ["resolved"]),
        (update("acknowledged"), ["acknowledged"]),
        (update("acknowledged and commented"), ["acknowledged"]),
        (
            update("acknowledged, commented and changed severity from High to Disaster"),
            ["firing", "acknowledged"],
        ),
        (update("changed severity from High to Disaster"), ["firing"]),
        (update("unacknowledged"), []),
        (update("commented"), []),
        (update("closed"), []),
        (update("suppressed"), []),
        (update("{EVENT.UPDATE.ACTION}", event_ack_status="Yes"), ["acknowledged"]),
        (update("{EVENT.UPDATE.ACTION}", event_ack_status="No"), []),
    ],
)
def test_what_a_notification_says_of_its_problem(given, statuses):
    events = zabbix.read(given, {})
    assert [event.status for event in events] == statuses
    assert {event.dedup_key for event in events} <= {"70412"}


def test_who_acknowledges_is_told():
    assert zabbix.read(update("acknowledged"), {})[0].by == "Ana Ruiz (ana)"


@pytest.mark.parametrize(
    ("number", "severity"),
    [("0", "low"), ("1", "low"), ("2", "medium"), ("3", "medium"), ("4", "high"), (5, "critical")],
)
def test_severities(number, severity):
    assert zabbix.read(changed(event_nseverity=number), {})[0].severity == severity


def test_severity_by_its_word():
    def severity(word):
        given = changed(event_nseverity="{EVENT.NSEVERITY}", event_severity=word)
        return zabbix.read(given, {})[0].severity

    assert (severity("Disaster"), severity("Average"), severity("*UNKNOWN*")) == (
        "critical",
        "medium",
        "high",
    )


@pytest.mark.parametrize("tags", ["", "{EVENT.TAGSJSON}", "[", "5", '["x"]', '[{"tag": ""}]', None, 7])
def test_tags_that_cannot_be_read(tags):
    [event] = zabbix.read(changed(event_tags=tags), {})
    assert event.labels.keys() == {"host", "host_groups", "trigger_id"}
    if tags in ("[", "5", 7):
        assert event.metadata["event_tags"] == tags


def test_nul_in_tags_is_kept_from_the_database():
    [event] = zabbix.read(changed(event_tags='[{"tag": "a", "value": "b\\u0000"}]'), {})
    assert event.labels["a"] == "b\ufffd"


def test_problem_of_a_service_needs_little():
    assert zabbix.read({"event_source": "4", "event_id": "9", "event_value": "1"}, {}) == [
        AlertEvent(
            dedup_key="9",
            status="firing",
            title="Problem 9",
            severity=Severity.HIGH,
            name="Problem 9",
            metadata={"event_source": "4", "event_id": "9", "event_value": "1"},
        )
    ]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (changed(event_id="{EVENT.ID}", trigger_id="*UNKNOWN*"), "event_id"),
        (changed(event_source="1"), "event_source"),
    ],
)
def test_faults(given, field):
    [fault] = zabbix.read(given, {})
    assert isinstance(fault, EventFault)
    assert (fault.field, fault.index) == (field, None)


def test_what_is_no_object():
    with pytest.raises(MalformedPayload):
        zabbix.read([], {})


@pytest.mark.django_db(transaction=True)
def test_problem_is_acknowledged_and_resolved():
    integration = IntegrationFactory(source=Source.ZABBIX)
    assert outcomes(send(integration, payload("zabbix"))) == ["opened"]
    assert outcomes(send(integration, update("acknowledged"))) == ["acknowledged"]
    assert Alert.objects.get().incident.status == "acknowledged"
    assert outcomes(send(integration, changed(event_value="0"))) == ["resolved"]
    assert stored() == [("70412", "resolved")]


def media_type(address):
    """What an administrator would import."""
    page = render_to_string("alerts/setup/zabbix.html", {"address": address})
    [code] = re.findall(r"<pre><code>(zabbix_export:.*?)</code></pre>", page, re.DOTALL)
    [found] = yaml.safe_load(html.unescape(code))["zabbix_export"]["media_types"]
    return found


def test_media_type_sends_what_is_read():
    media = media_type("https://alerts.example.org/integrations/zabbix/k")
    names = {parameter["name"] for parameter in media["parameters"]}
    own = {"openalert_address", "openalert_secret", "http_proxy"}
    assert names - own | {"event_url"} == payload("zabbix").keys()
    assert {template["operation_mode"] for template in media["message_templates"]} == {
        "PROBLEM",
        "RECOVERY",
        "UPDATE",
    }


# Zabbix runs the script in an engine of its own; this is as much of it as the script uses.
ENGINE = """
const sent = {headers: []};
class HttpRequest {
    addHeader(header) { sent.headers.push(header); }
    setProxy(proxy) { sent.proxy = proxy; }
    post(address, body) { Object.assign(sent, {address, body}); return "answer"; }
    getStatus() { return STATUS; }
}
try {
    sent.result = new Function("value", "HttpRequest", SCRIPT)(VALUE, HttpRequest);
} catch (error) {
    sent.thrown = error;
}
console.log(JSON.stringify(sent));
"""


def run_script(parameters, status=202):
    script = media_type("https://alerts.example.org/integrations/zabbix/k")["script"]
    values = {"STATUS": status, "SCRIPT": script, "VALUE": json.dumps(parameters)}
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    done = subprocess.run(["node", "-e", constants + ENGINE], capture_output=True, check=True, timeout=30)
    return json.loads(done.stdout)


@needs("node")
@pytest.mark.django_db(transaction=True)
def test_script_of_the_media_type():
    given = payload("zabbix")
    link = given.pop("event_url")
    sent = run_script(
        {**given, "openalert_address": "https://a.example", "openalert_secret": "s3cret", "http_proxy": ""}
    )
    assert sent == {
        "headers": ["Authorization: Bearer s3cret", "Content-Type: application/json"],
        "address": "https://a.example",
        "body": sent["body"],
        "result": "answer",
    }
    assert json.loads(sent["body"]) == {**given, "event_url": link}
    integration = IntegrationFactory(source=Source.ZABBIX, secret="s3cret")
    assert send(integration, sent["body"].encode()).status_code == 401
    assert outcomes(send(integration, sent["body"].encode(), authorization="Bearer s3cret")) == ["opened"]


@needs("node")
def test_script_fails_when_it_is_refused():
    sent = run_script({"openalert_address": "https://a.example", "http_proxy": "http://proxy"}, status=503)
    assert (sent["thrown"], sent["proxy"]) == ("OpenAlert did not take it (503): answer", "http://proxy")
