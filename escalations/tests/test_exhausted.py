"""When nobody of a step can be reached, the next one comes early; the rounds keep their pace."""

import pytest

from escalations.enums import RunStatus
from incidents import lifecycle
from incidents.enums import Kind
from notifications.enums import Channel
from notifications.exceptions import DeliveryError
from notifications.tests.factories import ContactMethodFactory
from notifications.tests.recorder import Recorder
from notifications.transports import TRANSPORTS

NO = DeliveryError("no such user", permanent=True)


@pytest.fixture
def provider(monkeypatch):
    recorder = Recorder()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    return recorder


def by_email(pager, *names):
    for name in names:
        ContactMethodFactory(user=pager.person(name), address=f"{name}@example.org")


def test_the_next_step_is_paged_at_once_when_no_method_works(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = NO
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    pager.work()
    assert pager.paged(incident) == ["bo"]
    assert Kind.NOBODY_TO_PAGE in pager.story(incident)


def test_an_unreliable_provider_is_given_its_five_attempts_first(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = DeliveryError("busy")
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    pager.wait(seconds=1)
    assert pager.paged(incident) == []
    for _ in range(40):
        pager.wait(seconds=1)
    assert pager.paged(incident) == ["bo"]


def test_a_step_with_somebody_who_was_reached_waits_its_time(pager, provider):
    by_email(pager, "ana", "bo", "cy")
    provider.faulty["ana@example.org"] = NO
    pager.policy(["ana", "bo"], ["cy"])
    incident = pager.fire()
    pager.wait(minutes=4)
    assert pager.paged(incident) == ["bo"]
    pager.wait(minutes=1)
    assert pager.paged(incident) == ["bo", "cy"]


def test_a_providers_bad_minutes_do_not_use_up_the_rounds(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty = {"ana@example.org": NO, "bo@example.org": NO}
    pager.policy(["ana"], ["bo"], repeat=2)
    incident = pager.fire()
    for _ in range(10):
        pager.wait(seconds=1)
    run = incident.escalation_runs.get()
    assert (run.status, run.loop, run.step) == (RunStatus.RUNNING, 0, 2)
    provider.faulty = {}
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana"]


def test_an_answer_in_between_stops_it(pager, provider):
    by_email(pager, "ana", "bo")
    provider.faulty["ana@example.org"] = DeliveryError("busy")
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("bo"))
    for _ in range(40):
        pager.wait(seconds=1)
    assert pager.paged(incident) == []
