"""The subjects of monitoring mail, as the systems write them by default."""

import time

import pytest

from alerts.enums import EventStatus
from alerts.formats.email_words import LONGEST_SUBJECT, Words, without_reply
from incidents.enums import Severity

USUAL = Words()


@pytest.mark.parametrize(
    ("firing", "resolved", "stem"),
    [
        # Alertmanager and Grafana
        ("[FIRING:1] Down (n1 critical)", "[RESOLVED] Down (n1 critical)", "Down (n1 critical)"),
        ("[FIRING:2, RESOLVED:1] Down", "[RESOLVED:3] Down", "Down"),
        ("[Alerting] CPU", "[OK] CPU", "CPU"),
        # Nagios and Icinga
        (
            "** PROBLEM Service Alert: web01/HTTP is CRITICAL **",
            "** RECOVERY Service Alert: web01/HTTP is OK **",
            "web01/HTTP",
        ),
        ("** PROBLEM Host Alert: web01 is DOWN **", "** RECOVERY Host Alert: web01 is UP **", "web01"),
        ("[PROBLEM] HTTP on web01 is WARNING!", "[RECOVERY] HTTP on web01 is OK!", "HTTP on web01"),
        # Checkmk
        ("Check_MK: web01/HTTP OK -> CRIT", "Check_MK: web01/HTTP CRIT -> OK", "Check_MK: web01/HTTP"),
        # Zabbix
        ("Problem: High load on db1", "Resolved in 5m 3s: High load on db1", "High load on db1"),
        ("Updated problem in 3m: High load", "Resolved: High load", "High load"),
        # CloudWatch
        ('ALARM: "cpu" in US East (N. Virginia)', 'OK: "cpu" in US East (N. Virginia)', None),
        ('INSUFFICIENT_DATA: "cpu" in EU', 'OK: "cpu" in EU', '"cpu" in EU'),
        # Azure Monitor
        ("Fired:Sev2 Azure Monitor Alert cpu", "Resolved:Sev2 Azure Monitor Alert cpu", None),
        # UptimeRobot, Pingdom, Healthchecks, Uptime Kuma
        ("Monitor is DOWN: Shop", "Monitor is UP: Shop", "Shop"),
        (
            "DOWN alert: Shop (example.org) is DOWN",
            "UP alert: Shop (example.org) is UP",
            "Shop (example.org)",
        ),
        ("DOWN | nightly backup", "UP | nightly backup", "nightly backup"),
        ("[🔴 Down] Shop", "[✅ Up] Shop", "Shop"),
        # Datadog
        ("[Triggered on {host:db1}] CPU high", "[Recovered on {host:db1}] CPU high", "CPU high"),
        ("[Monitor Alert] Triggered: CPU", "[Monitor Alert] Recovered: CPU", "CPU"),
        # by hand
        ("[prod] disk full", "[prod] RESOLVED: disk full", "[prod] disk full"),
        ("Disk full on db1", "Disk full on db1 [RESOLVED]", "Disk full on db1"),
        ("Re: AW: Disk full", "Fwd: Disk full - OK", "Disk full"),
        ("[CRITICAL] Disk", "[CRITICAL] Resolved: Disk", "Disk"),
        ("FAILED: Backup of db1", "SUCCESS: Backup of db1", "Backup of db1"),
        ("ALERT", "RESOLVED", ""),
    ],
)
def test_mails_of_one_problem_have_one_stem(firing, resolved, stem):
    bad, good = USUAL.in_subject(firing), USUAL.in_subject(resolved)
    assert bad.stem == good.stem
    assert stem is None or bad.stem == stem
    assert bad.status in (None, EventStatus.FIRING)
    assert good.status == EventStatus.RESOLVED


@pytest.mark.parametrize(
    "subject",
    [
        "Backup of ok.example.org",
        "OK computer is on fire",
        "Open file limit reached",
        "Closed circuit camera lost",
        "[OK] web01 is DOWN",
        "UP: web01 is unreachable",
        "[setup] nothing",
        "Up-to-date check is missing",
        "clear text password found",
    ],
)
def test_what_is_no_good_news(subject):
    assert USUAL.in_subject(subject).status != EventStatus.RESOLVED


def test_acknowledgement_of_nagios():
    said = USUAL.in_subject("** ACKNOWLEDGEMENT Service Alert: web01/HTTP is CRITICAL **")
    assert (said.stem, said.status) == ("web01/HTTP", EventStatus.ACKNOWLEDGED)
    down = USUAL.in_subject("** ACKNOWLEDGEMENT Host Alert: web01 is DOWN **")
    assert (down.stem, down.status) == ("web01", EventStatus.ACKNOWLEDGED)


@pytest.mark.parametrize(
    ("subject", "severity"),
    [
        ("[P1] Disk", Severity.CRITICAL),
        ("Sev2: Disk", Severity.HIGH),
        ("[Warning] Disk", Severity.MEDIUM),
        ("web01/HTTP is WARNING", Severity.MEDIUM),
        ("Disk is critical on db1", Severity.CRITICAL),
        ("P4 disk", Severity.LOW),
        ("[low] disk", Severity.LOW),
        ("low disk space", None),
        ("Disk", None),
    ],
)
def test_severity_of_a_subject(subject, severity):
    assert USUAL.in_subject(subject).severity == severity


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Notification Type: RECOVERY\n\nService: HTTP\nState: OK", (EventStatus.RESOLVED, None)),
        ("- State Change:   ALARM -> OK", (EventStatus.RESOLVED, None)),
        ("Previous state: OK\nCurrent state: DOWN", (EventStatus.FIRING, None)),
        ("Previous status: Down\nNew status at 10:03: Up", (EventStatus.RESOLVED, None)),
        ("* Severity: average\nStatus = acknowledged", (EventStatus.ACKNOWLEDGED, Severity.MEDIUM)),
        ("Priority: P2", (None, Severity.HIGH)),
        ("The state of the union is ok", (None, None)),
        ("\n" * 100 + "State: OK", (None, None)),
    ],
)
def test_lines_of_a_body(body, expected):
    assert USUAL.in_body(body) == expected


def test_words_of_ones_own_replace_the_usual_good_news():
    words = Words(over=["back in  business"], firing=["kaputt"])
    good, bad = words.in_subject("Shop back in business"), words.in_subject("Shop kaputt")
    assert (good.stem, good.status) == ("Shop", EventStatus.RESOLVED)
    assert (bad.stem, bad.status) == ("Shop", EventStatus.FIRING)
    assert words.in_subject("[OK] Shop").status is None
    assert words.in_body("State: back in business") == (EventStatus.RESOLVED, None)


def test_replies_and_forwards():
    assert without_reply("RE: Fwd: AW[2]: Disk: full") == "Disk: full"


@pytest.mark.parametrize(
    "piece", ["[ ", "(", "[ok ", "is ok ", "ok ", "ok -> ", " -", "monitor ", "ok:1,", "re:", "\t"]
)
def test_hostile_subject_takes_no_time(piece):
    began = time.perf_counter()
    USUAL.in_subject(piece * LONGEST_SUBJECT)
    assert time.perf_counter() - began < 0.5


def test_end_of_a_long_subject_counts():
    one, other = (USUAL.in_subject("[FIRING:1] " + "x" * LONGEST_SUBJECT + end).stem for end in "ab")
    assert (one[-1], other[-1]) == ("a", "b")
    assert one == USUAL.in_subject("[RESOLVED] " + "x" * LONGEST_SUBJECT + "a").stem
