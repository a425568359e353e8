"""The page of queues: who may see it, what it shows, and what operators can do there."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications import provider_pauses
from notifications.enums import Channel, Hold, NotificationStatus
from notifications.exceptions import NoSuchProvider, NotAnOperator
from notifications.models import Notification, OperationsTeam, ProviderAccount
from notifications.tests.factories import NotificationFactory
from notifications.tests.recorder import Recorder
from notifications.transports import TRANSPORTS
from openalert import failed_tasks, figures
from openalert.health import queue_watch, queues
from openalert.models import Pulse
from openalert.tests.stack import eventually, free_port
from openalert.wake import Waker
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def provider(monkeypatch):
    """Email goes to a Recorder."""
    recorder = Recorder()
    recorder.account = "smtp"
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    return recorder


@pytest.fixture
def operator():
    """A responder of the team that looks after the installation."""
    ana = UserFactory(name="Ana")
    OperationsTeam.objects.create(team=TeamFactory(responders=[ana]))
    return ana


@pytest.fixture
def client(operator):
    client = Client()
    client.force_login(operator)
    return client


ACTIONS = [
    ("get", "queues", []),
    ("post", "queues-forget", []),
    ("post", "provider-pause", ["smtp"]),
    ("post", "provider-resume", ["smtp"]),
]


@pytest.mark.parametrize(("method", "name", "arguments"), ACTIONS)
def test_only_operators_have_it(operator, method, name, arguments):
    path = reverse(name, args=arguments)
    manager = UserFactory()
    TeamFactory(managers=[manager])
    answers = {}
    for who, user in {
        "operator": operator,
        "superuser": UserFactory(is_superuser=True),
        "manager of another team": manager,
        "nobody": None,
    }.items():
        browser = Client()
        if user:
            browser.force_login(user)
        answers[who] = getattr(browser, method)(path).status_code
    good = 200 if method == "get" else 302
    assert answers == {
        "operator": good,
        "superuser": good,
        "manager of another team": 403,
        "nobody": 302,
    }
    assert "/accounts/login/" in getattr(Client(), method)(path)["Location"]


def test_page_shows_what_waits_and_what_failed(client, valkey):
    figures.reporter.introduce("web")
    figures.reporter.flush()
    failed_tasks.note("notifications.tasks.sweep", ValueError("it broke"))
    waker = Waker()
    waker.send("notifications.tasks.deliver", ("1",), 0)
    waker.send("notifications.tasks.deliver", ("2",), 3)
    eventually(lambda: sum(queue.waiting for queue in queues.queues()) == 2, within=10)
    now = timezone.now()
    NotificationFactory(due_at=now - timedelta(minutes=5), wake_at=now)
    text = client.get("/queues/").text
    for words in ("delivery", "notifications.tasks.sweep", "ValueError: it broke", "Not all is well", "smtp"):
        assert words in text
    assert "The oldest due page waits since 30" in text
    [delivery] = [queue for queue in queues.queues() if queue.name == "delivery"]
    assert delivery.waiting == 2
    assert 0 <= delivery.oldest_seconds < 10


def test_page_is_there_without_redis_and_without_database(client, settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    text = client.get("/queues/").text
    assert "Redis cannot be asked." in text
    assert client.post("/queues/failures/forget/").status_code == 302


def test_failed_tasks_are_put_away(client, valkey):
    failed_tasks.note("x.y", ValueError("z"))
    client.post("/queues/failures/forget/")
    assert failed_tasks.groups() == []


def test_provider_is_paused_and_used_again(client, operator, provider):
    client.post(reverse("provider-pause", args=["smtp"]), {"minutes": "60"})
    account = ProviderAccount.objects.get(name="smtp")
    assert account.last_error == "Paused by Ana."
    assert timedelta(minutes=59) < account.paused_until - timezone.now() <= timedelta(minutes=60)
    from notifications import outbox

    page = NotificationFactory(channel="email")
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.hold) == (NotificationStatus.PENDING, Hold.PAUSE)
    assert "Not used until" in client.get("/queues/").text

    answer = client.post(reverse("provider-resume", args=["smtp"]), headers={"HX-Request": "true"})
    assert "1 pages go now" in answer["HX-Trigger"]
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == NotificationStatus.SENT


def test_provider_that_there_is_not_is_not_paused(operator):
    with pytest.raises(NoSuchProvider):
        provider_pauses.pause("pigeons", span=timedelta(minutes=1), by=operator)
    with pytest.raises(NoSuchProvider):
        provider_pauses.resume("in_app", by=operator)
    with pytest.raises(NotAnOperator):
        provider_pauses.pause("smtp", span=timedelta(minutes=1), by=UserFactory())
    assert not ProviderAccount.objects.exists()


@pytest.fixture
def ticking():
    Pulse.objects.create(name="tick", at=timezone.now())


def test_health_job_tells_operations_once_in_an_hour(operator, ticking, valkey):
    assert queue_watch.look() == []
    Pulse.objects.update(at=timezone.now() - timedelta(minutes=2))
    assert [trouble.name for trouble in queue_watch.look()] == ["tick"]
    told = Notification.objects.filter(user=operator)
    subjects = set(told.values_list("payload__subject", flat=True))
    assert subjects == {"OpenAlert: Escalations were last looked at 120 s ago."}
    count = told.count()
    assert [trouble.name for trouble in queue_watch.look()] == ["tick"]
    assert told.count() == count


def test_health_job_sees_old_jobs_failed_tasks_and_failing_providers(ticking, valkey, monkeypatch):
    monkeypatch.setattr(queue_watch, "QUEUE_SECONDS", 0.0)
    failed_tasks.note("x.y", ValueError("z"))
    Waker().send("notifications.tasks.deliver", ("1",), 0)
    eventually(lambda: sum(queue.waiting for queue in queues.queues()) == 1, within=10)
    ProviderAccount.objects.create(name="smtp", open_until=timezone.now(), failures=9)
    assert [trouble.name for trouble in queue_watch.look()] == ["provider smtp", "queue delivery", "task x.y"]


def test_health_job_goes_on_without_redis(ticking, settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert [trouble.name for trouble in queue_watch.look()] == ["redis"]
