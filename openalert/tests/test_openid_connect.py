"""Sign-in by OpenID Connect, against a real provider."""

import json
import os
import re
import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from openalert.models import AuditEntry
from openalert.tests import oidc
from openalert.tests.browser import running_browser
from openalert.tests.programs import needs
from openalert.tests.stack import Stack, free_port
from teams.enums import Role
from teams.identity import people, provider
from teams.identity.exceptions import SignInRefused
from teams.identity.views import BACKEND, CONFIRMED_AT
from teams.models import GroupMapping, Identity, Membership, User
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = [pytest.mark.django_db, needs("node", "npm")]

OURS = "http://localhost"
ANA = {
    "email": "ana@example.org",
    "email_verified": True,
    "name": "Ana Ruiz",
    "groups": ["payments", "staff"],
}
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def server():
    with oidc.running(f"{OURS}/accounts/oidc/callback/", f"{OURS}/accounts/login/") as server:
        yield server


@pytest.fixture
def idp(server, settings):
    settings.OIDC_ISSUER = server.issuer
    settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = oidc.CLIENT_ID, oidc.CLIENT_SECRET
    settings.OIDC_RP_SCOPES = "openid email profile groups"
    settings.OIDC_NAME = "Example"
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", BACKEND]
    settings.ALLOWED_HOSTS = ["localhost"]
    provider.forget()
    server.set_accounts(ana=ANA)
    yield server
    provider.forget()


def browser():
    return Client(headers={"host": "localhost"})


@pytest.fixture
def client():
    return browser()


def back_from(client, subject="ana", address="/accounts/oidc/?next=/on-call/", person=None):
    """The address of ours with which `subject` comes back from the provider."""
    began = client.get(address)
    assert began.status_code == 302, began.content
    return (person or oidc.Person(subject)).go(began["Location"])


def sign_in(client, subject="ana", **options):
    return client.get(back_from(client, subject, **options).removeprefix(OURS))


def who(client):
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key) if key else None


def test_a_new_person_gets_an_account_with_team_and_role(idp, client):
    payments, other = TeamFactory(), TeamFactory()
    GroupMapping.objects.create(group="staff", team=payments, role=Role.OBSERVER)
    GroupMapping.objects.create(
        group="payments", team=payments, role=Role.MANAGER, installation_role="auditor"
    )
    GroupMapping.objects.create(group="others", team=other)
    assert b"Sign in with Example" in client.get("/accounts/login/").content
    response = sign_in(client)
    assert (response.status_code, response["Location"]) == (302, "/on-call/"), response.content
    ana = who(client)
    assert (ana.email, ana.name, ana.is_auditor, ana.is_superuser) == (
        "ana@example.org",
        "Ana Ruiz",
        True,
        False,
    )
    assert not ana.has_usable_password()
    assert [(one.team, one.role, one.from_identity) for one in ana.memberships.all()] == [
        (payments, Role.MANAGER, True)
    ]
    assert list(ana.identities.values_list("issuer", "subject")) == [(idp.issuer, "ana")]
    assert AuditEntry.objects.filter(action="signed_in").count() == 1
    asked = idp.asked("/auth")[-1]
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert len(asked["nonce"]) >= 32 and len(asked["state"]) >= 32

    # Groups change: what they gave goes, what was given by hand stays.
    Membership.objects.create(user=ana, team=other, role=Role.RESPONDER)
    idp.set_accounts(ana={**ANA, "groups": []})
    assert sign_in(browser()).status_code == 302
    ana.refresh_from_db()
    assert [(one.team, one.from_identity) for one in ana.memberships.all()] == [(other, False)]
    assert not ana.is_auditor and User.objects.count() == 1


def test_state_and_nonce_of_others_are_refused(idp, client):
    back = back_from(client).removeprefix(OURS)
    forged = client.get(re.sub(r"state=\w+", "state=forged", back))
    assert forged.status_code == 403 and who(client) is None
    assert browser().get(back).status_code == 403  # in another browser
    session = client.session
    (state,) = session["oidc_states"]
    session["oidc_states"][state]["nonce"] = "another"
    session.save()
    refused = client.get(back)
    assert refused.status_code == 403 and b"another sign-in" in refused.content
    assert client.get(back).status_code == 403  # and only once
    assert who(client) is None and not User.objects.exists()
    assert AuditEntry.objects.filter(action="sign_in_failed").count() == 1


def test_pkce_is_really_checked(idp, client):
    back = back_from(client).removeprefix(OURS)
    session = client.session
    (state,) = session["oidc_states"]
    session["oidc_states"][state]["code_verifier"] = "v" * 64
    session.save()
    assert client.get(back).status_code == 424 and not User.objects.exists()


def test_who_lacks_the_group_or_is_deactivated_is_told_so(idp, client, settings):
    settings.OIDC_REQUIRED_GROUP = "openalert"
    refused = sign_in(client)
    assert refused.status_code == 403 and "group “openalert”" in refused.content.decode()
    assert not User.objects.exists() and who(client) is None
    settings.OIDC_REQUIRED_GROUP = "staff"
    assert sign_in(client).status_code == 302
    assert client.get("/on-call/").status_code == 200
    User.objects.update(is_active=False)
    assert client.get("/on-call/")["Location"].startswith("/accounts/login/")  # out at once
    refused = sign_in(browser())
    assert refused.status_code == 403 and b"deactivated" in refused.content


def test_an_account_is_joined_only_by_an_address_that_was_checked(idp, client):
    ana = UserFactory(email="ANA@example.org")
    for unchecked in ({"email_verified": False}, {"email_verified": None}):
        idp.set_accounts(ana=ANA | unchecked)
        refused = sign_in(client)
        assert refused.status_code == 403 and b"An administrator has to join" in refused.content
    idp.set_accounts(ana=ANA, ana2=ANA)
    assert sign_in(client).status_code == 302 and who(client) == ana
    # A second account with the same address is not the same person.
    again = sign_in(browser(), "ana2")
    assert again.status_code == 403 and Identity.objects.count() == 1


def test_groups_give_and_take_the_installation_role_but_keep_the_last_administrator(idp, client):
    GroupMapping.objects.create(group="payments", installation_role="admin")
    sign_in(client)
    ana = who(client)
    assert ana.is_superuser and ana.is_staff
    idp.set_accounts(ana={**ANA, "groups": []})
    sign_in(client)
    ana.refresh_from_db()
    assert ana.is_superuser
    UserFactory(is_superuser=True)
    sign_in(client)
    ana.refresh_from_db()
    assert not ana.is_superuser and not ana.is_staff


def test_sign_out_reaches_the_provider(idp, client):
    person = oidc.Person("ana")
    sign_in(client, person=person)
    # The form leads there: browsers are told that it may.
    policy = client.get("/on-call/").headers["Content-Security-Policy"].split("; ")
    assert f"form-action 'self' {idp.issuer}" in policy
    out = client.post("/accounts/logout/")
    assert "form-action 'self'" in client.get("/accounts/login/").headers["Content-Security-Policy"].split(
        "; "
    )
    assert who(client) is None
    assert person.go(out["Location"]) == f"{OURS}/accounts/login/"
    asked = idp.asked("/session/end")[-1]
    assert jwt.decode(asked["id_token_hint"], options={"verify_signature": False})["sub"] == "ana"
    # The provider's session is over: without asking, it signs nobody in.
    began = client.get("/accounts/oidc/")["Location"] + "&prompt=none"
    assert parse_qs(urlsplit(person.go(began)).query)["error"] == ["login_required"]


def age(client, minutes):
    session = client.session
    session[CONFIRMED_AT] = time.time() - 60 * minutes
    session.save()


def test_a_session_is_confirmed_and_ends_with_the_account_at_the_provider(idp, client, settings):
    person = oidc.Person("ana")
    sign_in(client, person=person)
    assert client.get("/on-call/", headers=PAGE).status_code == 200
    age(client, 31)
    assert client.get("/on-call/", headers={"HX-Request": "true"}).status_code == 200
    sent = client.get("/on-call/?a=b", headers=PAGE)
    assert sent.status_code == 302 and "prompt=none" in sent["Location"]
    returned = client.get(person.go(sent["Location"]).removeprefix(OURS))
    assert returned["Location"] == "/on-call/?a=b"
    assert client.get("/on-call/", headers=PAGE).status_code == 200

    age(client, 61)
    for refused in (
        client.get("/on-call/", headers={"HX-Request": "true"}),
        client.post("/me/profile/", {}, headers={"HX-Request": "true"}),
        client.get("/api/v1/incidents"),
    ):
        assert json.loads(refused.content)["errors"][0]["code"] == "sign_in_to_be_confirmed"
    assert client.post("/me/profile/", {}).status_code == 403

    # The provider has ended the person's session there, as it does when it deactivates an account.
    sent = client.get("/on-call/", headers=PAGE)
    returned = client.get(oidc.Person("ana").go(sent["Location"]).removeprefix(OURS))
    assert returned["Location"] == "/accounts/login/?next=%2Fon-call%2F" and who(client) is None


def test_a_provider_that_is_away_is_told_and_locks_nobody_out(idp, client, settings):
    sign_in(client)
    settings.OIDC_ISSUER = f"http://127.0.0.1:{free_port()}"
    provider.forget()
    away = browser().get("/accounts/oidc/")
    assert away.status_code == 424 and b"provider is away" in away.content
    age(client, 90)
    assert client.get("/on-call/", headers=PAGE).status_code == 200
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    settings.OIDC_ISSUER = f"{idp.issuer}/"  # answers, but calls itself otherwise
    provider.forget()
    assert browser().get("/accounts/oidc/").status_code == 424


def test_passwords_are_taken_unless_they_are_off(idp, client, settings):
    UserFactory(email="ben@example.org", password="a-long-password-1")
    given = {"username": "ben@example.org", "password": "a-long-password-1"}
    assert client.post("/accounts/login/", given).status_code == 302
    client.logout()
    settings.OIDC_LOCAL_SIGN_IN = False
    settings.AUTHENTICATION_BACKENDS = [BACKEND]
    page = client.get("/accounts/login/").content
    assert b'type="password"' not in page and b"Sign in with Example" in page
    assert client.post("/accounts/login/", given).status_code == 200
    token = {"email": "ben@example.org", "password": "a-long-password-1"}
    assert client.post("/api/v1/auth/token", token, content_type="application/json").status_code == 401


def test_too_many_groups_take_nobody_out_of_their_teams(settings):
    with pytest.raises(SignInRefused, match="more groups"):
        people.groups_of({"_claim_names": {"groups": "src1"}})
    assert people.groups_of({"groups": "one"}) == {"one"} and people.groups_of({}) == set()


def test_without_an_issuer_there_is_nothing(client):
    assert client.get("/accounts/oidc/").status_code == 404
    assert client.get("/accounts/oidc/callback/?code=a&state=b").status_code == 404
    assert b"Sign in with" not in client.get("/accounts/login/").content


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_browser_signs_in_is_confirmed_and_signs_out(transactional_db, monkeypatch):
    """The whole way with settings from the environment, past the service worker."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    stack = Stack()
    callback = f"{stack.url}/accounts/oidc/callback/"
    with oidc.running(callback, f"{stack.url}/accounts/login/") as idp, running_browser() as chromium:
        idp.set_accounts(ana=ANA)
        stack.environment |= {
            "OIDC_ISSUER": idp.issuer,
            "OIDC_CLIENT_ID": oidc.CLIENT_ID,
            "OIDC_CLIENT_SECRET": oidc.CLIENT_SECRET,
            "OIDC_NAME": "Example",
            "OIDC_SCOPES": "openid email profile groups",
        }
        try:
            stack.start_web()
            page = chromium.new_context(viewport={"width": 360, "height": 780}).new_page()
            page.goto(f"{stack.url}/on-call/")
            if folder := os.environ.get("OPENALERT_SCREENSHOTS"):
                page.screenshot(path=f"{folder}/sign-in.png")
            page.click("text=Sign in with Example")
            page.fill("[name=login]", "ana")
            page.fill("[name=password]", "any")
            page.click("button[type=submit]")
            page.click("text=Continue")
            page.wait_for_url(f"{stack.url}/on-call/")
            page.evaluate("navigator.serviceWorker.ready")
            kept = Session.objects.get()
            session = SessionStore(kept.session_key)
            session[CONFIRMED_AT] = time.time() - 3700
            session.save()
            page.goto(f"{stack.url}/on-call/")
            assert page.url == f"{stack.url}/on-call/"
            assert SessionStore(kept.session_key)[CONFIRMED_AT] > time.time() - 60
            page.click(".menu summary")
            page.click("text=Sign out")
            page.click("[name=logout]")
            page.wait_for_url(f"{stack.url}/accounts/login/")
        finally:
            connection.close()  # a second one: Playwright has an event loop in this thread
            stack.stop()
