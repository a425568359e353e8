"""Invitations: who was added without a password is mailed a link, once, by which they choose one."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from openalert.models import AuditEntry
from teams import invitation_links, invitations, notices
from teams.models import Identity, Notice, User
from teams.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "a lamp, and a harbour"


@pytest.fixture(autouse=True)
def standing_clock(clock):
    """A moment ago is not another moment."""


@pytest.fixture
def root(client):
    user = UserFactory(name="Root", is_superuser=True, is_staff=True)
    client.force_login(user)
    return user


@pytest.fixture
def ana():
    return User.objects.create_user("ana@example.org", name="Ana Ruiz")


@pytest.fixture
def links(mailoutbox):
    """To whom a link was mailed since it was asked last, and which."""

    def mailed():
        notices.send_due()
        found = [
            (mail.to[0], link)
            for mail in mailoutbox
            for link in re.findall(r"http://localhost(/accounts/invitation/\S+/\S+/)", mail.body)
        ]
        mailoutbox.clear()
        return found

    return mailed


def choose(link, password=PASSWORD):
    client = Client()
    form = client.get(link, follow=True)
    if not form.context["validlink"]:
        return None
    return client.post(form.request["PATH_INFO"], {"new_password1": password, "new_password2": password})


def test_link_opens_until_a_password_is_chosen_and_is_mailed_once(ana, links, mailoutbox):
    assert invitations.invite([ana]) == 1
    invitations.invite([ana])
    [(to, link)] = links()
    assert to == "ana@example.org"
    assert not Notice.objects.filter(text__contains=link).exists()
    assert "at least 12 characters" in choose(link, "short").content.decode()
    assert choose(link)["Location"] == reverse("login")
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)
    assert choose(link) is None and choose(link.replace("/accounts/invitation/", "/accounts/reset/")) is None
    assert [entry.actor_name for entry in AuditEntry.objects.filter(action="password_chosen")] == ["Ana Ruiz"]
    notices.send_due()
    assert ["chosen by the link in your invitation" in mail.body for mail in mailoutbox] == [True]
    assert invitations.invite_again([ana]) == [] == links()


def test_link_ends_with_its_time_the_address_and_the_account(ana, links, clock):
    invitations.invite([ana])
    [(_, link)] = links()
    User.objects.update(email="new@example.org")
    assert choose(link) is None
    User.objects.update(email="ana@example.org", is_active=False)
    assert choose(link) is None
    User.objects.update(is_active=True)
    clock.advance(days=7, minutes=-1)
    assert Client().get(link, follow=True).context["validlink"]
    clock.advance(minutes=2)
    assert choose(link) is None
    other = User.objects.create_user("bo@example.org", name="Bo")
    forged = re.sub(
        r"invitation/[^/]+/", f"invitation/{invitation_links.path_for(other).split('/')[3]}/", link
    )
    assert choose(forged) is None


def test_nobody_else_is_invited(ana, links, settings):
    with_password, joined = UserFactory(), User.objects.create_user("joined@example.org", name="Joined")
    Identity.objects.create(user=joined, issuer="https://id.example.org", subject="1")
    token = User.objects.create_user("t@service.invalid", name="Token", is_service_account=True)
    everybody = [ana, with_password, joined, token]
    settings.OIDC_LOCAL_SIGN_IN = False
    assert invitations.invite_again(everybody) == []
    settings.OIDC_LOCAL_SIGN_IN = True
    settings.OIDC_ISSUER = "https://id.example.org"
    assert invitations.invite(everybody) == 0
    assert invitations.invite_again(everybody) == [ana]
    assert [to for to, _ in links()] == ["ana@example.org"]


def test_people_added_in_the_admin_are_invited_and_again_by_the_action(client, root, links, clock):
    form = {"email": "bo@example.org", "name": "Bo", "usable_password": "false"}
    empty = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    answer = client.post(reverse("admin:teams_user_add"), {**form, **empty}, follow=True)
    assert "Bo is mailed a link to choose a password." in answer.content.decode()
    [(to, first)] = links()
    assert to == "bo@example.org"
    everybody = {
        "action": "send_invitation",
        "_selected_action": list(User.objects.values_list("pk", flat=True)),
    }
    clock.advance(minutes=10)
    for _ in range(2):
        answer = client.post(reverse("admin:teams_user_changelist"), everybody, follow=True)
        assert "Not invited, as they have a password" in answer.content.decode()
    [(to, second)] = links()
    assert to == "bo@example.org" and second != first
    assert choose(second) and choose(first) is None
