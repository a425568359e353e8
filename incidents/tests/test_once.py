"""Actions under a key are done once, however often they are asked for."""

import threading
import time

import pytest
from django.db import connections
from django.urls import reverse

from incidents import once
from incidents.enums import Kind
from incidents.models import DoneAction
from incidents.tests.factories import IncidentFactory
from openalert import sql
from openalert.ids import uuid7
from teams.tests.factories import TeamFactory, UserFactory

HTMX = {"HX-Request": "true"}


@pytest.fixture
def incident(client, db):
    ana = UserFactory()
    client.force_login(ana)
    return IncidentFactory(service__team=TeamFactory(responders=[ana]))


def post(client, name, incident, key, **given):
    headers = {**HTMX, "Idempotency-Key": str(key)}
    return client.post(reverse(name, args=[incident.number]), given, headers=headers)


def test_a_note_that_is_sent_twice_is_written_once(client, incident):
    key = uuid7()
    answers = [post(client, "incident-note", incident, key, text="Once").status_code for _ in range(2)]
    assert (answers, incident.timeline.count()) == ([200, 200], 1)
    assert post(client, "incident-note", incident, uuid7(), text="Once").status_code == 200
    assert incident.timeline.count() == 2


def test_a_late_repetition_does_not_undo_what_came_since(client, incident):
    key = uuid7()
    assert post(client, "incident-acknowledge", incident, key).status_code == 204
    assert post(client, "incident-unacknowledge", incident, uuid7()).status_code == 204
    assert post(client, "incident-acknowledge", incident, key).status_code == 204
    kinds = list(incident.timeline.values_list("kind", flat=True))
    assert kinds.count(Kind.ACKNOWLEDGED) == 1
    incident.refresh_from_db()
    assert incident.status == "open"


def test_what_failed_was_not_done(client, incident):
    post(client, "incident-resolve", incident, uuid7())
    key = uuid7()
    assert post(client, "incident-acknowledge", incident, key).status_code == 409
    assert not DoneAction.objects.filter(key=key).exists()
    post(client, "incident-reopen", incident, uuid7())
    assert post(client, "incident-acknowledge", incident, key).status_code == 204


@pytest.mark.parametrize("name", ["incident-acknowledge", "incident-note"])
def test_a_key_has_to_be_a_uuid(client, incident, name):
    response = post(client, name, incident, "x", text="Hello")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "bad_idempotency_key")
    assert not incident.timeline.exists()


def test_keys_are_each_persons_own(db):
    key, done = uuid7(), []
    for user in (UserFactory(), UserFactory()):
        once.do_once(user, key, lambda: done.append(1))
    assert len(done) == 2


def test_keys_are_forgotten_after_a_day(db):
    user = UserFactory()
    for _ in range(2):
        once.do_once(user, uuid7(), lambda: None)
    sql.execute(
        "UPDATE incidents_doneaction SET done_at = now() - interval '25 hours' WHERE id = %s",
        [DoneAction.objects.first().pk],
    )
    assert (once.forget_old(), DoneAction.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_done():
    user, key, done = UserFactory(), uuid7(), []
    barrier = threading.Barrier(2)

    def act():
        done.append(1)
        time.sleep(0.2)

    def ask():
        barrier.wait(10)
        once.do_once(user, key, act)
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
