"""What must not stand in a log does not, and what is needed does."""

import pytest

from openalert.redaction import Redactor

KEY = "0123456789abcdef0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
redactor = Redactor(["hunter2-the-password"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: *** ***"),
        ("sent GenieKey 0a1b2c3d-1111-2222", "sent GenieKey ***"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic ***"),
        (f"the token was {JWT}, they say", "the token was ***, they say"),
        ("postgres://ana:s3cr3t@db:5432/alerts", "postgres://***@db:5432/alerts"),
        ("redis://:pw0123@redis:6379/0 is away", "redis://***@redis:6379/0 is away"),
        (f"Not Found: /integrations/grafana/{KEY}", "Not Found: /integrations/grafana/***"),
        (f"POST /integrations/github/{KEY}?x=1", "POST /integrations/github/***?x=1"),
        ("/integrations-inbound/sendgrid/abc-123", "/integrations-inbound/sendgrid/***"),
        ("GET /accounts/reset/MDE5/abc-0f1e2d/ → 302", "GET /accounts/reset/***/ → 302"),
        ("GET /accounts/invitation/MDE5/Im:1x:0f_-/ → 302", "GET /accounts/invitation/***/ → 302"),
        ("GET /ping/kX_3-abc/start", "GET /ping/***/start"),
        (f"RCPT TO:<ping-{KEY[:24]}@alerts.example.org>", "RCPT TO:<***@alerts.example.org>"),
        ("GET /calendar/qwErTy_-123.ics", "GET /calendar/***.ics"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/***"),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***"),
        (
            "https://api.telegram.org/bot12345:AA-bb/sendMessage",
            "https://api.telegram.org/bot***/sendMessage",
        ),
        ('{"routing_key": "R0123", "payload": 1}', '{"routing_key": "***", "payload": 1}'),
        ("password=hello&next=/", "password=***&next=/"),
        ("api_key: 'abc'", "api_key: '***'"),
        ("auth_token=abc", "auth_token=***"),
        ("/feed?key=abc&x=1", "/feed?key=***&x=1"),
        (f"unknown key {KEY}", "unknown key ***"),
        ("call +15005550006 failed", "call +***06 failed"),
        ("To=%2B4915112345678&Body=x", "To=+***78&Body=x"),
        ("whatsapp:+49 (151) 123-45 678!", "whatsapp:+***78!"),
        ("the password is hunter2-the-password", "the password is ***"),
    ],
)
def test_secrets_in_texts_are_hidden(given, expected):
    assert redactor.text(given) == expected


@pytest.mark.parametrize(
    "text",
    [
        "incident #42: Disk full on db1",
        "2026-11-28T08:00:00+00:00 it was 3 s late",
        "dedup_key=disk/db1 severity=critical",
        "run 0198c5c0-8a4e-7bb2-9a2c-1a2b3c4d5e6f cannot be carried out",
        "/incidents/42/ → 200 in 12.5 ms",
        "http://127.0.0.1:8000/services/?page=2",
        'psycopg.OperationalError: connection to server at "10.0.0.7", port 5432 failed',
        "1 + 2345678 = 2345679",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redactor.text(text) == text


def test_values_are_hidden_by_their_names_however_deep():
    given = {
        "user": "ana",
        "api_key": "abc",
        "headers": {"Authorization": "x", "Accept": "json", "X-Auth-Token": "t"},
        "targets": [{"phone": "015005550006", "phone_number": "+15005550007"}, ("+15005550006", 7)],
        "dedup_key": "disk",
        "SECRET_KEY": "s",
        "count": 3,
        "ok": None,
        "raw": b"Bearer abcdef123",
    }
    assert redactor.value(given) == {
        "user": "ana",
        "api_key": "***",
        "headers": {"Authorization": "***", "Accept": "json", "X-Auth-Token": "***"},
        "targets": [{"phone": "***06", "phone_number": "***07"}, ["+***06", 7]],
        "dedup_key": "disk",
        "SECRET_KEY": "***",
        "count": 3,
        "ok": None,
        "raw": "Bearer ***",
    }


def test_what_is_no_plain_value_becomes_text_without_secrets():
    class Odd:
        def __str__(self):
            return f"<request /integrations/grafana/{KEY}>"

    assert redactor.value({"request": Odd()}) == {"request": "<request /integrations/grafana/***>"}


def test_structures_without_end_are_cut():
    deep: dict = {}
    deep["again"] = deep
    assert "***" not in str(redactor.value(deep))


def test_short_secrets_of_ours_do_not_hide_words():
    assert Redactor(["a", ""]).text("a word") == "a word"
