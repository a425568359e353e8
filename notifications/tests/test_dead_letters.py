"""Dead letters: who sees them, what becomes of them, and who is told."""

import json
from datetime import timedelta

import pytest

from incidents import lifecycle
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from notifications import accounts, dead_letters, outbox
from notifications.enums import NotificationStatus, Purpose
from notifications.exceptions import DeliveryError
from notifications.models import Notification, OperationsTeam
from notifications.tests.factories import (
    ContactMethodFactory,
    DeliveryAttemptFactory,
    NotificationFactory,
    NotificationRuleFactory,
)
from notifications.tests.recorder import work, work_for
from openalert.tests.pages import Pages
from teams.tests.cast import Cast, answers, count_queries
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db
DEAD, PENDING, SENT = NotificationStatus.DEAD, NotificationStatus.PENDING, NotificationStatus.SENT
HTMX = {"HX-Request": "true"}
API = "/api/v1/dead-letters"
LIST, REPLAY, DISCARD = "/dead-letters/", "/dead-letters/replay/", "/dead-letters/discard/"


@pytest.fixture
def cast():
    return Cast()


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def incident(cast):
    return IncidentFactory(service=ServiceFactory(team=cast.team))


@pytest.fixture
def letter(incident):
    """A page to somebody, whose provider refused it."""
    letter = NotificationFactory(
        incident=incident,
        status=DEAD,
        attempt_count=5,
        last_error="<busy>",
        payload={"subject": "[HIGH] #1 Disk full", "text": "web: Disk full\n"},
    )
    DeliveryAttemptFactory(notification=letter, status="failed", error="<busy>", provider_id="SM1")
    return letter


@pytest.fixture
def operators(cast):
    """A team that looks after the installation; the outsider is in it."""
    cast.outsider.memberships.all().delete()
    team = TeamFactory(name="Operations", responders=[cast.outsider])
    OperationsTeam.objects.create(team=team)
    return team


def test_a_dead_page_is_kept_as_it_was_to_be_sent(clock, provider):
    page = NotificationFactory()
    provider.faults = [DeliveryError("no", permanent=True)]
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == DEAD
    assert page.payload["subject"] == f"[HIGH] #{page.incident.number} {page.incident.title}"
    assert page.incident.title in page.payload["text"]


def test_replay_gives_all_attempts_anew_and_keeps_the_old(clock, provider, cast, incident):
    page = NotificationFactory(incident=incident)
    provider.faults = [DeliveryError("busy")] * 9
    work_for(clock, minutes=1)
    assert dead_letters.replay([page.pk], by=cast.responder) == 1
    work_for(clock, minutes=1)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, page.last_error) == (SENT, 10, "")
    assert page.attempts.count() == 10


def test_replay_goes_to_the_address_of_today(clock, provider, cast, letter):
    letter.contact_method.address = "new@example.org"
    letter.contact_method.save()
    assert dead_letters.replay([letter.pk, letter.pk], by=cast.responder) == 1
    assert dead_letters.replay([letter.pk], by=cast.responder) == 0
    work(clock)
    assert provider.addresses == ["new@example.org"]


def test_a_replayed_page_that_nobody_needs_is_dropped(clock, provider, cast, letter):
    lifecycle.acknowledge(incident_id=letter.incident_id, actor=SYSTEM)
    dead_letters.replay([letter.pk], by=cast.responder)
    work(clock)
    letter.refresh_from_db()
    assert (letter.status, provider.messages) == (NotificationStatus.CANCELLED, [])


def test_discarded_letters_are_kept_out_of_sight(clock, cast, letter):
    assert dead_letters.discard([letter.pk], by=cast.responder) == 1
    letter.refresh_from_db()
    assert (letter.status, letter.discarded_at, letter.discarded_by) == (DEAD, clock.now, "Rui Responder")
    assert not dead_letters.visible_to(cast.responder).exists()
    assert dead_letters.replay([letter.pk], by=cast.responder) == 0


def test_responders_see_their_teams_and_operators_all(cast, letter, operators):
    seen = {who: dead_letters.visible_to(getattr(cast, who)).count() for who in ("responder", "observer")}
    assert seen == {"responder": 1, "observer": 0}
    assert dead_letters.visible_to(cast.outsider).count() == 1
    assert dead_letters.visible_to(UserFactory(is_superuser=True)).count() == 1
    foreign = NotificationFactory(status=DEAD)
    assert list(dead_letters.visible_to(cast.manager)) == [letter]
    assert dead_letters.replay([foreign.pk], by=cast.manager) == 0


# Operations are told


def die(provider, **values):
    provider.faults = [DeliveryError("the account is blocked", permanent=True)]
    page = NotificationFactory(**values)
    outbox.deliver(page.pk)
    return page


def notices():
    return Notification.objects.filter(purpose=Purpose.NOTICE)


def test_operations_are_told_at_most_once_in_ten_minutes_for_each_provider(clock, provider, operators, cast):
    method = ContactMethodFactory(user=cast.outsider, address="ops@example.org")
    NotificationRuleFactory(user=cast.outsider, contact_method=method, delay_minutes=30)
    page = die(provider)
    [notice] = notices()
    assert (notice.user, notice.address, notice.due_at) == (cast.outsider, "ops@example.org", clock.now)
    assert f"#{page.incident.number} failed for good: the account is blocked" in notice.payload["text"]
    assert "wait for somebody: 1" in notice.payload["text"]
    outbox.deliver(notice.pk)
    [message] = provider.messages
    assert (message.subject, message.href) == ("Pages fail: recorder", "http://localhost/dead-letters/")
    clock.advance(minutes=9, seconds=59)
    die(provider)
    assert notices().count() == 1
    clock.advance(seconds=1)
    die(provider)
    assert notices().count() == 2


def test_without_an_operations_team_superusers_are_told(clock, provider):
    UserFactory(is_superuser=True, name="root")
    UserFactory(is_superuser=True, is_active=False)
    die(provider)
    assert {notice.user.name for notice in notices()} == {"root"}


def test_somebody_is_told_where_no_operator_can_be(clock, provider, operators, cast, incident):
    """Silence about pages that fail is not what an operator who has switched everything off asked for."""
    ContactMethodFactory(user=cast.outsider, is_enabled=False)
    die(provider, incident=incident)
    assert {notice.user for notice in notices()} == {cast.manager}
    root = UserFactory(is_superuser=True)
    clock.advance(minutes=10)
    notices().delete()
    die(provider, incident=incident)
    assert {notice.user for notice in notices()} == {root}


def test_it_is_an_error_of_the_log_when_nobody_can_be_told(clock, provider, caplog):
    die(provider)
    assert "there is nobody to be told" in caplog.text


def test_operations_are_told_by_other_providers_than_the_one_that_fails(clock, provider, operators, cast):
    ContactMethodFactory(user=cast.outsider)
    ContactMethodFactory(user=cast.outsider, channel="in_app")
    die(provider)
    assert [notice.channel for notice in notices()] == ["in_app"]


def test_a_notice_that_dies_tells_nobody_again(clock, provider, operators, cast):
    ContactMethodFactory(user=cast.outsider)
    die(provider)
    clock.advance(minutes=20)
    provider.faults = [DeliveryError("no", permanent=True)]
    work(clock)
    assert [notice.status for notice in notices()] == [DEAD]


# Pages


def test_the_page_shows_what_it_said_and_every_attempt(pages, letter):
    assert pages.statuses("get", LIST) == pages.answers(200, 200, 200, 200)
    text = pages.text("responder", LIST)
    for said in ("web: Disk full", "&lt;busy&gt;", "SM1", letter.incident.title):
        assert said in text
    assert "<busy>" not in text
    for who in ("observer", "outsider"):
        assert "No dead letters" in pages.text(who, LIST)


@pytest.mark.parametrize(("path", "told"), [(REPLAY, "sent again"), (DISCARD, "put away")])
def test_letters_are_changed_one_or_some(pages, incident, path, told):
    letters = [NotificationFactory(incident=incident, status=DEAD) for _ in range(4)]
    client = pages.client("responder")
    response = client.post(path, {"only": letters[0].pk, "id": [letters[3].pk]}, headers=HTMX)
    assert response.status_code == 204
    assert "dead-letters-changed" in json.loads(response["HX-Trigger"])
    assert set(dead_letters.dead_letters()) == set(letters[1:])
    assert client.post(path, {"id": [letters[1].pk, letters[2].pk]})["Location"] == LIST
    assert list(dead_letters.dead_letters()) == [letters[3]]
    assert f"2 dead letters {told}" in client.get(LIST).text
    client.post(path, {"id": ["nonsense"]}, headers=HTMX)
    client.post(path, {}, headers=HTMX)
    assert list(dead_letters.dead_letters()) == [letters[3]]


@pytest.mark.parametrize("path", [REPLAY, DISCARD])
def test_other_teams_letters_are_left_alone(pages, letter, path):
    for who in ("observer", "outsider"):
        pages.client(who).post(path, {"only": letter.pk})
    assert pages.client("nobody").post(path, {"only": letter.pk})["Location"].startswith("/accounts/login/")
    assert dead_letters.dead_letters().count() == 1


def test_the_page_takes_the_same_queries_however_many(pages, incident):
    def add():
        DeliveryAttemptFactory(notification=NotificationFactory(incident=incident, status=DEAD))

    add()
    one = pages.count_queries("responder", LIST)
    add()
    add()
    assert pages.count_queries("responder", LIST) == one


def test_providers_in_trouble_are_named(clock, pages, provider):

    accounts.pause("twilio", span=timedelta(minutes=5), error="429 Too Many Requests", now=clock.now)
    accounts.failed("smtp", error="Connection refused", is_probe=False, now=clock.now)
    text = pages.text("observer", LIST)
    assert "twilio is not used for now." in text and "429 Too Many Requests" in text
    assert "smtp has failed 1 time in a row." in text


# The API


def test_the_api_shows_dead_letters_to_those_who_may_deal_with_them(cast, letter):
    hidden = answers(200, 200, 404, 404)
    assert cast.statuses("get", f"{API}/{letter.pk}") == hidden
    assert cast.statuses("post", f"{API}/{letter.pk}/replay") == hidden
    assert cast.statuses("post", f"{API}/{letter.pk}/discard") == hidden
    seen = cast.api("responder").get(f"{API}/{letter.pk}").json()
    assert seen["payload"] == {"subject": "[HIGH] #1 Disk full", "text": "web: Disk full\n"}
    assert (seen["address"], seen["attempts"][0]["provider_id"]) == (None, "SM1")


def test_the_api_changes_several(cast, incident):
    letters = [NotificationFactory(incident=incident, status=DEAD) for _ in range(3)]
    foreign = NotificationFactory(status=DEAD)
    api = cast.api("responder")
    ids = [str(letter.pk) for letter in (*letters[:2], foreign)]
    assert api.post(f"{API}/discard", {"ids": ids}).json() == {"count": 2}
    assert api.post(f"{API}/replay", {"ids": [str(letters[2].pk)]}).json() == {"count": 1}
    for faulty in ({}, {"ids": []}, {"ids": ["nonsense"]}, {"ids": "x"}):
        assert api.post(f"{API}/replay", faulty).status_code == 400
    assert list(dead_letters.dead_letters()) == [foreign]


def test_the_api_takes_as_many_queries_for_three_rows_as_for_one(cast, incident):
    def add():
        DeliveryAttemptFactory(notification=NotificationFactory(incident=incident, status=DEAD))

    add()
    one = count_queries(cast.api("responder"), API)
    add()
    add()
    assert (one[0], count_queries(cast.api("responder"), API)) == (1, (3, one[1]))
    assert cast.api("nobody").get(API).status_code == 401
