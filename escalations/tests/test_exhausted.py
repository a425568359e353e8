"""When nobody of a step can be reached, the next one comes early; the rounds keep their pace."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from escalations.enums import RunStatus
from escalations.tests.factories import PolicyFactory, RunFactory
from incidents import lifecycle
from incidents.enums import Kind
from incidents.timeline import SYSTEM
from notifications import outbox
from notifications.enums import UNFINISHED, Channel
from notifications.exceptions import DeliveryError
from notifications.models import Notification
from notifications.outbox import PageRequest
from notifications.tests.factories import ContactMethodFactory
from notifications.tests.recorder import Recorder
from notifications.transports import TRANSPORTS
from teams.tests.factories import UserFactory

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


@pytest.mark.django_db(transaction=True)
def test_answers_and_fallbacks_at_the_same_time_do_not_block_each_other(provider):
    """An acknowledgement locks pages and runs; so does the fallback of a page that has just died."""
    methods = [ContactMethodFactory(user=UserFactory(name="ana"))]
    methods.append(ContactMethodFactory(user=methods[0].user))
    provider.faulty = {method.address: NO for method in methods}
    policy = PolicyFactory(levels=[[methods[0].user], [UserFactory()]])
    faults = []

    def guarded(function):
        try:
            function()
        except Exception as error:
            faults.append(error)
        finally:
            connection.close()

    for _ in range(15):
        now = timezone.now()
        run = RunFactory(policy=policy, due_at=now + timedelta(minutes=5), step=1)
        incident = run.incident
        outbox.page([PageRequest(methods[0].user, incident, run.pk, 0, 0)], now=now)
        sends = [partial(outbox.deliver, page.pk) for page in incident.notifications.all()]
        answer = partial(lifecycle.acknowledge, incident_id=incident.pk, actor=SYSTEM)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(guarded, [*sends, answer]))
        assert faults == []
        assert not incident.notifications.filter(status__in=UNFINISHED).exists()
        run.refresh_from_db()
        assert run.status == RunStatus.STOPPED
    assert not Notification.objects.filter(needs_fallback=True).exists()
