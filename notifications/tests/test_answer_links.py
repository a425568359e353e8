"""Links that answer a page: to open one changes nothing, its button acts once, for whom it was made."""

import threading
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from incidents import lifecycle
from incidents.enums import Kind, Status
from incidents.timeline import Actor
from notifications import answer_links
from notifications.enums import Action, Channel, NotificationStatus, Purpose
from notifications.models import Reply
from openalert.ids import uuid7
from teams.tests.factories import MembershipFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory

pytestmark = pytest.mark.django_db
AS_JSON = {"Accept": "application/json"}


def make_page(channel=Channel.EMAIL, address="ana@example.org"):
    method = ContactMethodFactory(user=UserFactory(name="Ana Ruiz"), channel=channel, address=address)
    page = NotificationFactory(user=method.user, contact_method=method)
    MembershipFactory(team=page.incident.service.team, user=method.user)
    return page


@pytest.fixture
def page(db):
    return make_page()


@pytest.fixture
def in_teams(db):
    return make_page(Channel.TEAMS, "https://example.webhook.office.com/webhookb2/x")


def link(page, action=Action.ACKNOWLEDGE):
    return urlsplit(answer_links.links_for(page, page.actions)[action]).path


def status_of(page):
    page.incident.refresh_from_db()
    return page.incident.status


def test_to_open_a_link_changes_nothing(client, page):
    for method in (client.get, client.head, client.options):
        method(link(page))
    assert status_of(page) == Status.OPEN and not Reply.objects.exists()
    response = client.get(link(page))
    assert f"Acknowledge incident {page.incident.number}?" in response.text and "Ana Ruiz" in response.text
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response.headers["Cache-Control"]


def test_the_button_acts_for_the_person_whoever_is_signed_in(page):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(UserFactory(name="Bo"))
    response = browser.post(link(page))
    assert f"Incident {page.incident.number} acknowledged by you." in response.text
    entry = page.incident.timeline.get(kind=Kind.ACKNOWLEDGED)
    assert (entry.actor, entry.via) == (page.user, "email")


def test_a_link_is_good_for_once(client, page):
    client.post(link(page))
    lifecycle.unacknowledge(incident_id=page.incident.pk, actor=Actor.person(page.user, via="web"))
    response = client.post(link(page), headers=AS_JSON)
    words = f"This link has been used. Incident {page.incident.number} acknowledged by you."
    assert response.json() == {"outcome": "done", "answer": words}
    assert status_of(page) == Status.OPEN
    assert client.post(link(page, Action.RESOLVE)).status_code == 200
    assert status_of(page) == Status.RESOLVED


def test_who_was_first_is_told(client, page):
    lifecycle.resolve(incident_id=page.incident.pk, actor=Actor.person(UserFactory(name="Bo"), via="web"))
    answer = client.post(link(page), headers=AS_JSON).json()
    assert answer == {
        "outcome": "already",
        "answer": f"Incident {page.incident.number} is already resolved by Bo, just now.",
    }


def test_a_link_that_is_changed_old_or_of_nothing_does_nothing(client, clock):
    page = make_page()
    good = link(page)
    token = good.split("/")[2]
    gone = answer_links.sign(uuid7(), Action.RESOLVE, is_personal=True)
    for bad in (token[:-1] + ("a" if token[-1] != "a" else "b"), token.replace(":", "", 1), "x", gone):
        for send in (client.get, client.post):
            assert send(reverse("answer", args=[bad])).status_code == 410
    clock.advance(days=7, seconds=1)
    assert client.get(good).status_code == client.post(good).status_code == 410
    assert status_of(page) == Status.OPEN


def test_the_answer_to_a_test_page_is_seen_to_arrive(client, page):
    page.purpose, page.incident, page.run_id = Purpose.TEST, None, None
    page.status, page.sent_at = NotificationStatus.SENT, page.created_at
    page.save()
    client.force_login(page.user)
    assert list(answer_links.links_for(page, page.actions)) == ["acknowledge"]
    assert "Answer the test page?" in client.get(link(page)).text
    assert "your answer arrived" not in client.get("/me/").text
    assert "Your answer to the test page has arrived." in client.post(link(page)).text
    assert "Test sent, your answer arrived" in client.get("/me/").text


def test_somebody_who_left_answers_nothing(client, page):
    page.user.is_active = False
    page.user.save()
    assert client.post(link(page)).status_code == 403
    assert status_of(page) == Status.OPEN


def test_in_a_channel_whoever_presses_signs_in_and_answers_as_themselves(client, in_teams):
    path = link(in_teams)
    for send in (client.get, client.post):
        response = send(path)
        assert response.status_code == 302 and response["Location"].startswith(reverse("login"))
    bo = UserFactory(name="Bo")
    MembershipFactory(team=in_teams.incident.service.team, user=bo)
    client.force_login(bo)
    assert "You answer as Bo" in client.get(path).text
    assert client.post(path).status_code == 200
    entry = in_teams.incident.timeline.get(kind=Kind.ACKNOWLEDGED)
    assert (entry.actor, entry.via) == (bo, "teams")


def test_in_a_channel_an_outsider_is_refused(client, in_teams):
    client.force_login(UserFactory(name="Otis"))
    response = client.post(link(in_teams))
    assert response.status_code == 403 and "There is no incident" in response.text
    assert status_of(in_teams) == Status.OPEN


def test_in_a_channel_no_other_site_presses_for_somebody(in_teams):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(in_teams.user)
    assert browser.post(link(in_teams)).status_code == 403
    assert status_of(in_teams) == Status.OPEN


@pytest.mark.parametrize(
    ("channel", "address"),
    [(Channel.SMS, "+14155550123"), (Channel.SLACK, "U024BE7LH"), (Channel.IN_APP, "")],
)
def test_channels_with_answers_of_their_own_carry_no_links(channel, address):
    page = make_page(channel, address)
    assert answer_links.links_for(page, page.actions) == {}


@pytest.mark.django_db(transaction=True)
def test_the_same_press_at_the_same_time_acts_once():
    page = make_page()
    path, answers, start = link(page), [], threading.Barrier(4)

    def press():
        start.wait()
        answers.append(Client().post(path, headers=AS_JSON).json()["outcome"])
        connection.close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["done"] * 4
    assert page.incident.timeline.filter(kind=Kind.ACKNOWLEDGED).count() == 1
