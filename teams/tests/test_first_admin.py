"""The first administrator: made once, by whoever has the set-up code, and never again."""

import logging
import threading
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from openalert.models import AuditEntry
from teams import first_admin
from teams.exceptions import SetUpAlready
from teams.models import Identity, User
from teams.tests.factories import UserFactory

GIVEN = {
    "name": "Ana Ruiz",
    "email": "ana@example.org",
    "password": "a fairly long one",
    "repeated": "a fairly long one",
    "time_zone": "Europe/Berlin",
}


def given(**changes):
    return {**GIVEN, "code": first_admin.set_up_code(), **changes}


@pytest.mark.django_db
def test_first_administrator_is_made_signed_in_and_told_of_in_the_audit_log(client):
    assert client.get("/accounts/login/").url == "/set-up/"
    assert client.get("/set-up/").status_code == 200
    # As somebody types it in who reads it from another screen.
    response = client.post("/set-up/", given(code=first_admin.set_up_code().lower().replace("-", " ")))
    assert (response.status_code, response.url) == (302, "/")
    ana = User.objects.get()
    assert (ana.is_superuser, ana.is_staff, ana.time_zone) == (True, True, "Europe/Berlin")
    assert ana.check_password(GIVEN["password"])
    assert client.get("/me/").status_code == 200
    assert list(AuditEntry.objects.order_by("id").values_list("action", "object_id")) == [
        ("created", str(ana.pk)),
        ("first_administrator", str(ana.pk)),
        ("signed_in", str(ana.pk)),
    ]
    for method in (client.get, client.post):
        assert method("/set-up/", given()).status_code == 404
    client.logout()
    assert client.get("/set-up/").status_code == 404
    assert client.get("/accounts/login/").status_code == 200


@pytest.mark.django_db
def test_nobody_without_the_code_and_a_good_password_becomes_it(client):
    wrong = client.post("/set-up/", given(code="AAAA-BBBB"))
    assert (wrong.status_code, "is not the set-up code" in wrong.text) == (422, True)
    assert 'value="ana@example.org"' in wrong.text and GIVEN["password"] not in wrong.text
    assert AuditEntry.objects.get().action == "first_administrator_refused"
    for faulty in ({"password": "short", "repeated": "short"}, {"repeated": "another one"}, {"email": "ana"}):
        assert client.post("/set-up/", given(**faulty)).status_code == 422
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_wins():
    together, results = threading.Barrier(2), []

    def make(email):
        try:
            together.wait(10)
            results.append(first_admin.make(code=first_admin.set_up_code(), email=email, name="Ana").email)
        except SetUpAlready:
            results.append(None)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=make, args=[f"{name}@example.org"]) for name in ("ana", "bo")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == 2 and results.count(None) == 1
    assert [user.email for user in User.objects.all()] == [email for email in results if email]


@pytest.mark.django_db
def test_whom_the_provider_brought_in_does_not_close_the_page_and_may_become_it(client, settings):
    settings.OIDC_LOCAL_SIGN_IN = False
    bo = User.objects.create_user("bo@example.org", name="Bo Chen")
    Identity.objects.create(user=bo, issuer="https://login.example.org", subject="7")
    assert "password" not in client.get("/set-up/").text
    response = client.post("/set-up/", given(email="Bo@example.org", name="Somebody else"))
    assert response.url == "/accounts/login/"
    bo.refresh_from_db()
    assert (bo.is_superuser, bo.is_staff, bo.name, bo.has_usable_password()) == (True, True, "Bo Chen", False)
    assert client.get("/set-up/").status_code == 404
    assert client.get("/me/").status_code == 302  # signing in is the provider's


@pytest.mark.django_db
def test_code_is_told_by_the_log_and_by_a_command_while_it_opens_something(caplog, monkeypatch):
    monkeypatch.setattr(first_admin.connection, "close", lambda: None)  # the test's own
    with caplog.at_level(logging.WARNING):
        first_admin.announce()
    assert first_admin.set_up_code() in caplog.text
    out = StringIO()
    call_command("set_up_code", stdout=out)
    assert first_admin.set_up_code() in out.getvalue()
    caplog.clear()
    UserFactory()
    first_admin.announce()
    assert caplog.text == ""
    with pytest.raises(CommandError, match="already"):
        call_command("set_up_code")
