"""New passwords: changed, mailed a link for, and what ends with the old one."""

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from openalert.models import AuditEntry
from teams import notices, passwords, second_factor
from teams.models import Identity
from teams.tests.factories import PASSWORD, UserFactory
from teams.tests.test_second_factor import turn_on

pytestmark = pytest.mark.django_db

NEW = "another lamp, farther out"
TOKEN = "/api/v1/auth/token"


@pytest.fixture(autouse=True)
def standing_clock(clock):
    """A moment ago is not another moment."""


@pytest.fixture
def ana():
    return UserFactory(name="Ana Ruiz", email="ana@example.org")


@pytest.fixture
def links(mailoutbox):
    """The links that were mailed since it was asked last."""

    def mailed():
        notices.send_due()
        found = [
            link
            for mail in mailoutbox
            for link in re.findall(r"http://localhost(/accounts/reset/\S+/\S+/)", mail.body)
        ]
        mailoutbox.clear()
        return found

    return mailed


def ask(email="ana@example.org", **options):
    return Client(**options).post(reverse("password-reset"), {"email": email})


def choose(link, password=NEW):
    client = Client()
    form = client.get(link, follow=True)
    if not form.context["validlink"]:
        return None
    return client.post(form.request["PATH_INFO"], {"new_password1": password, "new_password2": password})


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def tokens(password=PASSWORD):
    return Client().post(TOKEN, {"email": "ana@example.org", "password": password}, "application/json").json()


def me(client, **headers):
    return client.get("/api/v1/me", headers=headers).status_code


def test_who_forgot_it_gets_a_link_that_opens_once(ana, links, clock, mailoutbox):
    other, before = signed_in(ana), tokens()
    assert ask("ANA@example.org")["Location"] == reverse("password-reset-sent")
    [link] = links()
    refused = choose(link, "short")
    assert "at least 12 characters" in refused.text
    for poor in ("ana@example.org", "qwerty123456", "123456789012"):
        assert choose(link, poor).status_code == 200
    assert choose(link)["Location"] == reverse("password-reset-done")
    assert choose(link) is None, "it was used"
    ana.refresh_from_db()
    assert ana.check_password(NEW)
    assert me(other) == 401 and me(Client(), Authorization=f"Bearer {before['access']}") == 401
    refresh = Client().post(f"{TOKEN}/refresh", {"refresh": before["refresh"]}, "application/json")
    assert refresh.status_code == 401
    notices.send_due()
    assert [mail.subject for mail in mailoutbox] == ["Your password has changed"]
    told = AuditEntry.objects.filter(action__startswith="password_").order_by("id")
    assert [(entry.action, entry.actor_name) for entry in told] == [
        ("password_reset_asked", ""),
        ("password_reset", "Ana Ruiz"),
    ]


def test_links_end_after_an_hour_and_with_a_sign_in(ana, links, clock):
    ask()
    [link] = links()
    clock.advance(minutes=59)
    assert Client().get(link, follow=True).context["validlink"]
    clock.advance(minutes=2)
    assert choose(link) is None
    ask()
    [link] = links()
    clock.advance(seconds=1)
    Client().post("/accounts/login/", {"username": ana.email, "password": PASSWORD})
    assert choose(link) is None


def test_nobody_learns_who_has_an_account_and_some_get_no_link(ana, links):
    gone = UserFactory(name="gone", is_active=False)
    by_provider = UserFactory(name="provided")
    Identity.objects.create(user=by_provider, issuer="https://id.example.org", subject="1")
    by_provider.set_unusable_password()
    by_provider.save()
    answers = set()
    for email in (gone.email, by_provider.email, "nobody@example.org", ana.email):
        response = ask(email)
        answers.add((response.status_code, response["Location"], response.content))
    assert len(answers) == 1
    assert len(links()) == 1
    ana.is_active = False
    ana.save()
    assert choose(reset_link(ana)) is None, "one that was mailed before"


def reset_link(user):
    return passwords.reset_links.path_for(user)


def test_asking_is_held_back_by_account_and_by_address(ana, links, clock):
    for _ in range(3):
        ask()
    assert len(links()) == 1
    clock.advance(minutes=5)
    ask()
    assert len(links()) == 1
    cache.clear()
    statuses = [ask(f"{number}@example.org", REMOTE_ADDR="192.0.2.77").status_code for number in range(11)]
    assert statuses == [302] * 10 + [429]
    assert ask(REMOTE_ADDR="192.0.2.78").status_code == 302


def test_a_reset_lifts_the_lock_out_and_leaves_the_second_factor(ana, links):
    turn_on(ana)
    for _ in range(5):
        Client().post("/accounts/login/", {"username": ana.email, "password": "wrong"})
    ask()
    choose(links()[0])
    client = Client()
    half = client.post("/accounts/login/", {"username": ana.email, "password": NEW})
    assert half["Location"] == reverse("login-code")
    assert second_factor.factor_of(ana) and me(client) == 401


def test_a_change_ends_everything_else(ana, mailoutbox):
    here, other, before = signed_in(ana), signed_in(ana), tokens()
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert here.post(reverse("password"), form).status_code == 302
    assert (me(here), me(other), me(Client(), Authorization=f"Bearer {before['access']}")) == (200, 401, 401)
    refresh = Client().post(f"{TOKEN}/refresh", {"refresh": before["refresh"]}, "application/json")
    assert refresh.status_code == 401
    notices.send_due()
    assert [(mail.to, mail.subject) for mail in mailoutbox] == [([ana.email], "Your password has changed")]
    assert AuditEntry.objects.filter(action="password_changed", actor_id=ana.pk).count() == 1


def test_an_administrator_sets_one(ana, mailoutbox):
    admin = signed_in(UserFactory(name="Root", is_staff=True, is_superuser=True))
    other = signed_in(ana)
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    admin.post(reverse("admin:auth_user_password_change", args=[ana.pk]), form)
    ana.refresh_from_db()
    assert ana.check_password(NEW) and me(other) == 401
    notices.send_due()
    assert "An administrator set it." in mailoutbox[0].body


def test_without_local_passwords_there_are_no_such_pages(ana, settings, links):
    settings.OIDC_LOCAL_SIGN_IN = False
    assert Client().get(reverse("password-reset")).status_code == 404
    assert choose_status(reset_link(ana)) == 404


def choose_status(link):
    return Client().get(link).status_code
