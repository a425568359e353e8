"""Nagios and Icinga: what openalert-notify sends, and the command itself against a running door."""

import html
import os
import re
import subprocess

import pytest
from django.template.loader import render_to_string

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import nagios
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send, stored
from incidents.enums import Severity
from openalert.tests.programs import needs
from openalert.tests.stack import ROOT, free_port

SCRIPT = ROOT / "static/integrations/openalert-notify"


def test_problem_of_a_service():
    given = payload("nagios_service")
    assert nagios.read(given, {}) == [
        AlertEvent(
            dedup_key="service/db1/Disk /srv",
            status="firing",
            title="Disk /srv on db1.example.com is CRITICAL: DISK CRITICAL - free space: /srv 512 MB (7%)",
            severity=Severity.CRITICAL,
            name="Disk /srv",
            source="db1",
            labels={"host": "db1", "service": "Disk /srv", "groups": "databases,linux"},
            metadata={
                **given,
                "url": "https://nagios.example.com/graph?host=db1",
                "runbook": "https://wiki.example.com/runbooks/disk",
                "description": "DISK CRITICAL - free space: /srv 512 MB (7%)",
            },
        )
    ]


def test_acknowledgement_of_a_host():
    given = payload("nagios_host")
    assert nagios.read(given, {}) == [
        AlertEvent(
            dedup_key="host/db1",
            status="acknowledged",
            title="db1.example.com is DOWN: PING CRITICAL - Packet loss = 100%",
            severity=Severity.CRITICAL,
            name="Host",
            source="db1",
            labels={"host": "db1", "groups": "databases,linux"},
            metadata={
                **given,
                "url": "",
                "runbook": "",
                "description": "PING CRITICAL - Packet loss = 100%",
            },
            by="Ana Ruiz",
        )
    ]


@pytest.mark.parametrize(
    ("notification", "state", "statuses"),
    [
        ("PROBLEM", "DOWN", ["firing"]),
        ("problem", "down", ["firing"]),
        ("RECOVERY", "UP", ["resolved"]),
        ("ACKNOWLEDGEMENT", "DOWN", ["acknowledged"]),
        ("CUSTOM", "DOWN", ["firing"]),
        ("CUSTOM", "UP", []),
        ("FLAPPINGSTART", "DOWN", []),
        ("FLAPPINGSTOP", "DOWN", []),
        ("FLAPPINGEND", "DOWN", []),
        ("FLAPPINGDISABLED", "DOWN", []),
        ("DOWNTIMESTART", "DOWN", []),
        ("DOWNTIMEEND", "DOWN", []),
        ("DOWNTIMECANCELLED", "DOWN", []),
        ("DOWNTIMEREMOVED", "DOWN", []),
    ],
)
def test_notifications(notification, state, statuses):
    events = nagios.read({"notification": notification, "host": "db1", "state": state}, {})
    assert [event.status for event in events] == statuses
    assert {event.dedup_key for event in events} <= {"host/db1"}


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        ("DOWN", "critical"),
        ("UNREACHABLE", "high"),
        ("CRITICAL", "critical"),
        ("UNKNOWN", "high"),
        ("WARNING", "medium"),
        ("", "high"),
    ],
)
def test_severities(state, severity):
    [event] = nagios.read({"notification": "PROBLEM", "host": "h", "state": state}, {})
    assert event.severity == severity


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "invalid_choice", "notification"),
        ({"notification": "PARTY", "host": "h"}, "invalid_choice", "notification"),
        ({"notification": "PROBLEM"}, "required", "host"),
        ({"notification": "PROBLEM", "host": ["h"]}, "required", "host"),
    ],
)
def test_faults(given, code, field):
    [fault] = nagios.read(given, {})
    assert isinstance(fault, EventFault)
    assert (fault.code, fault.field) == (code, field)


def test_what_is_no_object():
    with pytest.raises(MalformedPayload):
        nagios.read([], {})


@pytest.mark.django_db(transaction=True)
def test_forms():
    integration = IntegrationFactory(source=Source.NAGIOS)
    form = "application/x-www-form-urlencoded"
    body = b"notification=PROBLEM&host=db1&state=DOWN&output=a%00b%26c+d&output=last&extra=%ff&empty="
    assert outcomes(send(integration, body, content_type=form)) == ["opened"]
    kept = Alert.objects.get().metadata
    assert (kept["output"], kept["extra"], kept["empty"]) == ("last", "\ufffd", "")
    assert outcomes(send(integration, payload("nagios_host"))) == ["acknowledged"]
    too_many = "&".join(f"f{n}=1" for n in range(nagios.MAX_FIELDS + 1)).encode()
    assert error(send(integration, too_many, content_type=form)) == (400, "malformed_payload", None)
    assert outcomes(send(integration, body.replace(b"PROBLEM", b"RECOVERY"), content_type=form)) == [
        "resolved"
    ]


def notify(file, *fields):
    """Run the command as the monitoring system would."""
    environment = {"PATH": os.environ["PATH"], "OPENALERT_ADDRESS_FILE": str(file), "LC_ALL": "C"}
    return subprocess.run([SCRIPT, *fields], env=environment, capture_output=True, text=True, timeout=60)


def fields_of(given):
    return [f"{name}={value}" for name, value in given.items()]


def commands():
    """The commands of the set-up page: lists of their fields, each by the macros' names."""
    page = html.unescape(render_to_string("alerts/setup/nagios.html", {"site": "", "address": ""}))
    found = re.findall(r"command_line +/usr/local/bin/openalert-notify (.*)", page)
    found += re.findall(r'command = \[\s*"/usr/local/bin/openalert-notify",(.*?)\]', page, re.DOTALL)
    return [dict(field.split("=", 1) for field in re.findall(r'"([^"]*)"', command)) for command in found]


def test_set_up_page_gives_the_fields_that_are_read():
    nagios_host, nagios_service, icinga_host, icinga_service = commands()
    host, service = payload("nagios_host").keys(), payload("nagios_service").keys()
    assert (nagios_host.keys(), nagios_service.keys()) == (host, service)
    assert (icinga_host.keys(), icinga_service.keys()) == (host - {"groups"}, service - {"groups"})
    assert all(
        re.fullmatch(r"\$[A-Za-z._]+\$", macro) for command in commands() for macro in command.values()
    )


@needs("curl")
@pytest.mark.timeout(180)
def test_command_against_a_running_door(stack, tmp_path):
    integration = IntegrationFactory(source=Source.NAGIOS, secret='s3"c\\ret')
    file = tmp_path / "address"
    address = f"{stack.url}/integrations/nagios/{integration.key}"
    file.write_text(f'{address}\ns3"c\\ret')
    given = {**payload("nagios_service"), "output": "50% & $HOME `id` \"q\" 'q' \\ + ü @/etc/passwd\nline 2"}

    done = notify(file, *fields_of(given))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    alert = Alert.objects.get()
    assert {name: alert.metadata[name] for name in given} == given
    assert (alert.dedup_key, alert.severity) == ("service/db1/Disk /srv", "critical")

    acknowledged = {**given, "notification": "ACKNOWLEDGEMENT", "author": "Ana"}
    assert notify(file, *fields_of(acknowledged)).returncode == 0
    alert.incident.refresh_from_db()
    assert alert.incident.status == "acknowledged"

    assert notify(file, *fields_of({**given, "notification": "DOWNTIMESTART"})).returncode == 0
    assert notify(file, *fields_of({**given, "notification": "RECOVERY", "state": "OK"})).returncode == 0
    assert stored() == [("service/db1/Disk /srv", "resolved")]

    refused = notify(file, "notification=PARTY", "host=db1")
    assert (refused.returncode, "This must be one of PROBLEM" in refused.stderr) == (1, True)
    file.write_text(address + "\n")
    unsigned = notify(file, *fields_of(given))
    assert (unsigned.returncode, "bad_signature" in unsigned.stderr) == (1, True)


@needs("curl")
@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        (None, ["a=b"], "cannot be read"),
        ("", ["a=b"], "is empty"),
        ("http://127.0.0.1:1/x", [], "no fields"),
        ("http://127.0.0.1:1/x", ["a=b", "novalue"], "not a field, name=value: novalue"),
        ("http://127.0.0.1:1/x", ["=b"], "not a field, name=value: =b"),
    ],
)
def test_command_says_what_is_wrong(tmp_path, content, fields, said):
    if content is not None:
        (tmp_path / "address").write_text(content)
    done = notify(tmp_path / "address", *fields)
    assert (done.returncode, done.stdout, said in done.stderr) == (1, "", True)


@needs("curl")
def test_command_gives_up_before_nagios_does(tmp_path):
    (tmp_path / "address").write_text(f"http://127.0.0.1:{free_port()}/integrations/nagios/k3y")
    done = notify(tmp_path / "address", "host=a")
    assert (done.returncode, "was not reached" in done.stderr, "k3y" in done.stderr) == (1, True, False)
