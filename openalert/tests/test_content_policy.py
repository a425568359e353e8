"""The Content-Security-Policy and the headers beside it, on everything that Django answers; where redirects lead; forms.

That the pages keep to it is seen in a browser (test_every_page_seen.py).
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
import yaml
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.views import APIView

from incidents.enums import Status
from incidents.tests.factories import IncidentFactory
from notifications.models import MailboxMessage
from openalert import guessing
from openalert.asgi import django_application
from openalert.tests.test_compose import FILE, filled
from teams.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "correct horse battery"
POLICY = {
    "default-src": "'none'",
    "script-src": "",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self' ws://testserver",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# Bodies of mails: mail programs know no style sheets.
MAILS = {
    "incidents/reports/mail.html",
    "notifications/bundle.html",
    "notifications/notice.html",
    "notifications/page.html",
    "notifications/subscriber_update.html",
}
SCRIPT = re.compile(r"<script\b([^>]*)>")
SOMEWHERE_ELSE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "https:evil.example",
    "http:///evil.example",
    "javascript:alert(1)",
    "\x01https://evil.example/",
]


def policy_of(response):
    parts = [part.partition(" ") for part in response.headers["Content-Security-Policy"].split("; ")]
    assert len({name for name, _, _ in parts}) == len(parts)
    return {name: sources for name, _, sources in parts}


def with_nonce(nonce, policy=POLICY):
    return {**policy, "script-src": f"'nonce-{nonce}'", "style-src": f"'self' 'nonce-{nonce}'"}


def nonce_of(response):
    """The one that every script of the page has."""
    scripts = SCRIPT.findall(response.text)
    nonces = {re.search(r'nonce="([^"]+)"', script)[1] for script in scripts}
    assert len(nonces) == 1
    return nonces.pop()


@pytest.fixture
def one_minute(monkeypatch):
    """Failures are counted by the minute: all of the test is in one."""
    monkeypatch.setattr(guessing, "time", SimpleNamespace(time=lambda: 1_800_000_015.0))


@pytest.fixture
def administrator():
    user = UserFactory(is_superuser=True, is_staff=True)
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def client(administrator):
    client = Client(raise_request_exception=False)
    client.force_login(administrator)
    return client


def fail(*given, **named):
    raise RuntimeError


def test_pages_and_error_pages_run_scripts_by_nonce_only(client, monkeypatch):
    stranger = Client(enforce_csrf_checks=True, raise_request_exception=False)
    answers = {
        200: client.get("/incidents/"),
        400: client.get("/me/", headers={"Host": "evil.example"}),
        403: stranger.post("/accounts/login/"),
        404: client.get("/no-such-page/"),
    }
    monkeypatch.setattr("incidents.views.render", fail)
    answers[500] = client.get("/incidents/")
    assert {status: answer.status_code for status, answer in answers.items()} == {key: key for key in answers}
    nonces = set()
    for status, answer in answers.items():
        nonce = nonce_of(answer)
        expected = with_nonce(nonce)
        if status == 400:  # a host that is not ours has no WebSocket
            expected["connect-src"] = "'self'"
        assert policy_of(answer) == expected, status
        nonces.add(nonce)
    assert len(nonces) == len(answers) and min(map(len, nonces)) >= 22
    assert nonce_of(client.get("/on-call/")) != nonce_of(client.get("/on-call/"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/manifest.webmanifest", 200),
        ("/service-worker.js", 200),
        ("/static/js/app.js", 200),
        ("/static/css/base.css", 200),
        ("/api/v1/services", 200),
        ("/api/v1/nothing", 404),
        ("/api/schema/", 200),
        ("/api/docs", 302),
        ("/audit/export.csv", 200),
        ("/ping/no-such-key", 404),
    ],
)
def test_what_is_no_page_runs_no_script_at_all(client, path, status):
    answer = client.get(path)
    assert answer.status_code == status
    assert policy_of(answer) == POLICY
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_who_is_held_back_and_who_must_sign_in_get_it_too(one_minute):
    stranger = Client(REMOTE_ADDR="192.0.2.99")
    answers = [stranger.get("/metrics") for _ in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {404} and answers[30].status_code == 429
    assert policy_of(answers[30])["default-src"] == "'none'"
    moved = stranger.get("/incidents/")
    assert (moved.status_code, policy_of(moved)) == (302, POLICY)
    secure = stranger.get("/incidents/", secure=True)
    assert policy_of(secure)["connect-src"] == "'self' wss://testserver"
    assert secure.headers["Referrer-Policy"] == secure.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert secure.headers["X-Frame-Options"] == "DENY"


def test_with_https_cookies_are_for_https_and_browsers_insist_on_it(administrator, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 2_592_000
    given = {"username": administrator.email, "password": PASSWORD}
    answer = Client().post("/accounts/login/", given, secure=True)
    assert (answer.status_code, answer.headers["Strict-Transport-Security"]) == (302, "max-age=2592000")
    for name, is_hidden in (("sessionid", True), ("csrftoken", "")):
        cookie = answer.cookies[name]
        assert (cookie["secure"], cookie["samesite"], cookie["httponly"]) == (True, "Lax", is_hidden), name


def test_only_below_admin_is_it_relaxed(client):
    def relaxed(nonce):
        expected = with_nonce(nonce) if nonce else POLICY
        scripts = f"'nonce-{nonce}' " if nonce else ""
        return expected | {
            "script-src": f"{scripts}'self' 'unsafe-eval'",
            "style-src-attr": "'unsafe-inline'",
        }

    for path in ("/admin/", "/admin/teams/team/", "/admin/no-such-page/"):
        answer = client.get(path)
        given = re.search(r"'nonce-([^']+)'", answer.headers["Content-Security-Policy"])
        assert policy_of(answer) == relaxed(given and given[1]), path
    assert policy_of(client.get("/administrators/"))["script-src"].startswith("'nonce-")


def test_documentation_of_the_api_comes_from_here(client):
    answer = client.get("/api/docs/")
    assert policy_of(answer) == with_nonce(nonce_of(answer)) | {"img-src": "'self' data:"}
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_a_mail_is_shown_in_a_frame_that_can_do_nothing(client, settings):
    settings.EMAIL_BACKEND = "notifications.mailbox.MailboxBackend"
    mail = MailboxMessage.objects.create(
        sender="a@example.org", recipient="ana@example.org", subject="Down", text="Down.", html="<b>Down</b>"
    )
    page = client.get(reverse("mailbox-message", args=[mail.pk]))
    address = reverse("mailbox-letter", args=[mail.pk])
    assert f'src="{address}"' in page.text and policy_of(page)["frame-src"] == "'self'"
    letter = client.get(address)
    assert letter.text == '<base target="_blank"><b>Down</b>'
    assert letter.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert policy_of(letter) == {
        "default-src": "'none'",
        "style-src-attr": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
        "sandbox": "allow-popups allow-popups-to-escape-sandbox",
    }
    other = Client()
    other.force_login(UserFactory())
    assert other.get(address).status_code == 404


def templates():
    for path in sorted((ROOT / "templates").rglob("*.html")):
        yield str(path.relative_to(ROOT / "templates")), path.read_text()


def test_no_template_has_what_the_policy_forbids():
    found = []
    for name, text in templates():
        found += [f"{name}: {tag}" for tag in SCRIPT.findall(text) if 'nonce="{{' not in tag]
        found += [f"{name}: {tag}" for tag in re.findall(r"<style\b(?![^>]*nonce)[^>]*>", text)]
        found += [f"{name}: {tag}" for tag in re.findall(r"<[a-z]+\b[^>]*\son[a-z]+=[^>]*>", text)]
        found += [f"{name}: javascript:" for _ in re.findall(r"javascript:", text)]
        if name not in MAILS:
            found += [f"{name}: {tag}" for tag in re.findall(r"<[a-z]+\b[^>%]*\sstyle=[^>]*>", text)]
    assert found == []


def test_no_script_makes_what_the_policy_forbids():
    forbidden = re.compile(
        r"\beval\(|new Function\(|setAttribute\(\"(?:style|on)|<script|style=|\bon[a-z]+=\""
    )
    assert {
        path.name: found
        for path in (ROOT / "static" / "js").glob("*.js")
        if (found := forbidden.findall(path.read_text()))
    } == {}


def test_every_form_that_changes_something_has_its_token():
    forms = re.compile(r"<form\b[^>]*\bmethod=\"post\"[^>]*>(.*?)</form>", re.DOTALL)
    found = [(name, "{% csrf_token %}" in form) for name, text in templates() for form in forms.findall(text)]
    assert len(found) > 30
    assert [name for name, has_token in found if not has_token] == []


def test_only_what_proves_itself_otherwise_goes_without_a_token():
    """Signatures, keys in addresses, API keys; REST framework asks for the token itself where a session speaks."""
    exempt = set()

    def walk(patterns, before=""):
        for pattern in patterns:
            route = before + str(pattern.pattern)
            if not isinstance(pattern, URLPattern):
                walk(pattern.url_patterns, route)
                continue
            is_rest = issubclass(getattr(pattern.callback, "cls", object), APIView)
            if getattr(pattern.callback, "csrf_exempt", False) and not is_rest:
                exempt.add(route.partition("/")[0])

    walk(get_resolver().url_patterns)
    assert exempt == {"^ping", "ping", "hooks", "answer", "^integrations-inbound", "subscriptions", "v2"}


@pytest.mark.parametrize("address", SOMEWHERE_ELSE)
def test_nobody_is_led_elsewhere(client, administrator, address):
    sign_in = {"username": administrator.email, "password": PASSWORD, "next": address}
    incident = IncidentFactory(status=Status.OPEN)
    answers = [
        Client().post("/accounts/login/", sign_in),
        Client().post(f"/accounts/login/?{httpx.QueryParams(next=address)}", sign_in),
        Client().get("/admin/login/", {"next": address}),
        client.get("/accounts/login/", {"next": address}),
        client.post(f"/incidents/{incident.number}/acknowledge/", {"next": address}),
        client.post("/incidents/bulk/", {"number": incident.number, "action": "resolve", "next": address}),
        client.post("/accounts/logout/", {"next": address}),
    ]
    ours = re.compile(r"/(?![/\\])")
    assert [answer.status_code for answer in answers] == [302] * len(answers)
    assert [answer["Location"] for answer in answers if not ours.match(answer["Location"])] == []
    assert Client().post("/accounts/login/", sign_in | {"next": "/on-call/"})["Location"] == "/on-call/"


def test_each_module_that_reads_next_is_among_those_tried():
    reads = re.compile(r"(?:GET|POST)(?:\.get\(|\[)\"(?:next|to|back|return|url|redirect)\"")
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("*/**/*.py")
        if not {"tests", ".venv"} & set(path.parts) and reads.search(path.read_text())
    }
    assert found == {"incidents/actions.py", "incidents/triage_views.py", "teams/identity/password_views.py"}


class Proxied:
    """OpenAlert as uvicorn serves it, asked by a peer with an address."""

    def __init__(self, trusted, monkeypatch):
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
        config = uvicorn.Config(django_application, log_config=None)
        config.load()
        self.application = config.loaded_app

    def statuses(self, peer, forwarded):
        async def ask():
            transport = httpx.ASGITransport(self.application, client=(peer, 5000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return [
                    (await client.get("/metrics", headers={"X-Forwarded-For": each})).status_code
                    for each in forwarded
                ]

        return asyncio.run(ask())


def test_a_forwarded_address_is_believed_of_named_proxies_only(one_minute, monkeypatch, caplog):
    site = Proxied("172.31.253.1,10.244.0.0/16", monkeypatch)
    invented = [f"198.51.100.{number}" for number in range(31)]
    # By itself: whatever it says, it is held back as who it is.
    assert site.statuses("192.0.2.7", invented)[-1] == 429
    assert "X-Forwarded-For is not believed of 192.0.2.7" in caplog.text
    # By way of the proxy, which adds whom it sees to what it was told.
    assert site.statuses("172.31.253.1", [f"{one}, 192.0.2.8" for one in invented])[-1] == 429
    assert site.statuses("10.244.3.9", ["192.0.2.8"]) == [429]
    assert site.statuses("10.244.3.9", ["192.0.2.9"]) == [404]


def test_deploy_check_has_nothing_to_say():
    """With the settings of docker-compose.yml, as a process of its own."""
    given = yaml.safe_load(FILE.read_text())["services"]["web"]["environment"]
    environment = {"PATH": os.environ["PATH"], **{name: filled(value) for name, value in given.items()}}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]

    def check(**variables):
        return subprocess.run(
            command, cwd=ROOT, env=environment | variables, capture_output=True, text=True, timeout=120
        )

    clean = check()
    assert (clean.returncode, clean.stderr) == (0, "")
    assert clean.stdout == "System check identified no issues (2 silenced).\n"
    weak = check(SITE_URL="http://alerts.example.org")
    assert weak.returncode == 1 and "security.W012" in weak.stderr and "security.W004" in weak.stderr
