"""Sign-in by password waits after too many failures, for who guesses and not for who knows."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from openalert.models import AuditEntry
from teams.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

LOGIN, TOKEN = "/accounts/login/", "/api/v1/auth/token"
HERE, ELSEWHERE = "192.0.2.8", "198.51.100.1"


@pytest.fixture(autouse=True)
def standing_clock(clock):
    """Failures are minutes apart only where a test says so."""


@pytest.fixture
def ana():
    return UserFactory(name="Ana Ruiz", email="ana@example.org")


def page(password=PASSWORD, *, address=HERE, email="ana@example.org", **headers):
    cache.clear()  # of addresses that try much, guessing.py has tests of its own
    return Client(REMOTE_ADDR=address).post(LOGIN, {"username": email, "password": password}, headers=headers)


def api(password=PASSWORD, *, address=HERE, email="ana@example.org"):
    cache.clear()
    return Client(REMOTE_ADDR=address).post(TOKEN, {"email": email, "password": password}, "application/json")


def wait(response):
    """Seconds to wait, of an answer that says so."""
    assert response.status_code == 429
    return int(response["Retry-After"])


def told(action):
    return AuditEntry.objects.filter(action=action)


def test_an_account_waits_after_five_wrong_passwords_at_both_doors(ana, clock):
    assert [page("wrong").status_code for _ in range(2)] == [200, 200]
    assert [api("wrong", email="ANA@example.org").status_code for _ in range(2)] == [401, 401]
    last = page("wrong", email="Ana@Example.org")
    assert wait(last) == 900 and "Sign-in has to wait" in last.text and "15 minutes" in last.text
    clock.advance(minutes=5)
    assert wait(page()) == 600
    refused = api()
    assert wait(refused) == 600 and refused.json()["errors"][0]["code"] == "locked_out"
    assert wait(page(**{"X-Forwarded-For": ELSEWHERE})) == 600
    assert [entry.object_id for entry in told("locked_out")] == [str(ana.pk)]

    assert page(address=ELSEWHERE).status_code == 302, "the person, from another address"
    clock.advance(minutes=10, seconds=1)
    assert page().status_code == 302
    assert page("wrong").status_code == 200, "counted from the beginning"


def test_what_is_not_there_waits_alike(ana):
    answers = [
        [page("wrong", email=email).status_code for _ in range(6)]
        for email in ("ana@example.org", "bo@example.org")
    ]
    assert answers[0] == answers[1] == [200, 200, 200, 200, 429, 429]


def test_many_addresses_that_try_one_account_wait_together_and_its_person_does_not(ana, clock):
    assert page(address=HERE).status_code == 302
    for number in range(12):
        for _ in range(4):
            assert page("wrong", address=f"198.51.100.{number}").status_code == 200
    page("wrong", address="203.0.113.1")
    assert wait(page("wrong", address="2001:db8:1::1")) == 900
    assert wait(page(address="203.0.113.9")) == 900
    assert page(address=HERE).status_code == 302, "from where they have signed in"
    assert page(address="203.0.113.9").status_code == 429, "which ends nobody else's count"
    clock.advance(minutes=15, seconds=1)
    assert page(address="203.0.113.9").status_code == 302


def test_an_ipv6_network_is_one_address(ana):
    for number in range(5):
        page("wrong", address=f"2001:db8:1::{number}")
    assert page(address="2001:db8:1::99").status_code == 429
    assert page(address="2001:db8:2::99").status_code == 302


def test_behind_a_proxy_that_hides_addresses_one_guesser_does_not_lock_everybody_out(ana, settings):
    settings.KNOWS_ADDRESSES = False
    assert {page("wrong").status_code for _ in range(49)} == {200}
    assert page("wrong").status_code == 429
    assert page().status_code == 429


def test_an_administrator_lifts_it(ana):
    root = UserFactory(name="Root", is_staff=True, is_superuser=True)
    for _ in range(5):
        page("wrong")
    admin = Client()
    admin.force_login(root)
    assert (
        "locked out for up to 15 minutes" in admin.get(reverse("admin:teams_user_change", args=[ana.pk])).text
    )
    lift = {"action": "lift_lock_out", "_selected_action": [str(ana.pk)]}
    admin.post(reverse("admin:teams_user_changelist"), lift)
    assert page().status_code == 302
    entry = told("lock_out_lifted").get()
    assert (entry.actor_name, entry.object_name) == ("Root", "Ana Ruiz")


def test_asking_for_the_password_again_counts_too(ana):
    client = Client(REMOTE_ADDR=HERE)
    client.force_login(ana)
    new = "another lamp, farther out"
    form = {"old_password": "guess", "new_password1": new, "new_password2": new}
    assert [client.post(reverse("password"), form).status_code for _ in range(4)] == [200] * 4
    assert client.post(reverse("second-factor-begin"), {"password": "guess"}).status_code == 429
    assert client.post(reverse("password"), form | {"old_password": PASSWORD}).status_code == 429
    assert client.get(reverse("me")).status_code == 200, "they stay signed in"


def test_the_admin_has_no_door_of_its_own(ana):
    client = Client()
    door = client.get("/admin/", follow=True)
    assert door.redirect_chain[-1][0] == "/accounts/login/?next=%2Fadmin%2F"
    assert client.post("/admin/login/", {"username": ana.email, "password": PASSWORD}).status_code == 405
    assert client.get("/admin/login/?next=https://evil.example.org/")["Location"].endswith("next=%2Fadmin%2F")
    client.force_login(ana)
    assert client.get("/admin/login/?next=/admin/").status_code == 403
    client.force_login(UserFactory(is_auditor=True))
    assert client.get("/admin/login/?next=/admin/teams/")["Location"] == "/admin/teams/"
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/"
