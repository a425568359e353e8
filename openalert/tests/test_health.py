"""/healthz, /readyz and /metrics: what they say when all is well, and when something is not."""

import socket
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from escalations import engine
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents import lifecycle
from incidents.enums import Severity
from incidents.timeline import SYSTEM
from notifications import outbox
from notifications.models import DeliveryAttempt, Notification
from openalert import failed_tasks, figures, pulse, tasks
from openalert.figures import reporter
from openalert.health import views, vitals
from openalert.models import Pulse
from openalert.tests.stack import free_port
from teams.tests.factories import ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_kept(settings):
    """Each look is a new one, and what other tests counted is forgotten."""
    settings.METRICS_TOKEN = "token-of-the-tests"
    with figures._lock:
        figures._pending.clear()
    with patch.object(views, "KEPT_SECONDS", 0.0), patch.object(pulse, "PERIOD_SECONDS", 0.0):
        yield


@pytest.fixture
def ticking():
    """An installation in which the tick and beat were just seen."""
    pulse.note(pulse.TICK)
    pulse.note(pulse.BEAT)


def readyz(query=""):
    answer = Client().get(f"/readyz{query}")
    return answer.status_code, answer.json()


def failing(body):
    return [name for name, check in body["checks"].items() if not check["ok"]]


def scrape():
    """Every sample: (name, labels) → value."""
    answer = Client().get("/metrics", headers={"Authorization": "Bearer token-of-the-tests"})
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.fixture
def no_database():
    """PostgreSQL cannot be reached: nobody listens there."""
    wanted = {**connection.get_connection_params(), "host": "127.0.0.1", "port": free_port()}
    with patch.object(type(connections["default"]), "get_connection_params", lambda self: wanted):
        yield


def test_process_answers_whatever_else_is_away(no_database, settings, django_assert_num_queries):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer["Cache-Control"].startswith("max-age=0")


def test_all_is_well(ticking):
    status, body = readyz("?strict")
    assert (status, body["status"], body["ready"]) == (200, "ok", True)
    assert list(body["checks"]) == [
        "database",
        "redis",
        "migrations",
        "tick",
        "beat",
        "escalations",
        "outbox",
    ]
    assert [name for name, check in body["checks"].items() if check["needed"]] == ["database", "migrations"]


def test_without_database_it_is_not_ready(no_database):
    status, body = readyz()
    assert (status, body["status"], failing(body)) == (503, "not ready", ["database"])
    assert "127.0.0.1" not in str(body)


def test_database_that_hangs_is_given_up_soon():
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections and says nothing
        host, port = mute.getsockname()
        wanted = {**connection.get_connection_params(), "host": host, "port": port}
        with patch.object(type(connections["default"]), "get_connection_params", lambda self: wanted):
            began = timezone.now()
            status, body = readyz()
    assert (status, failing(body)) == (503, ["database"])
    assert timezone.now() - began < timedelta(seconds=5)


def test_without_this_codes_tables_it_is_not_ready(ticking):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'openalert' RETURNING name, applied")
        rows = cursor.fetchall()
        try:
            status, body = readyz()
        finally:
            cursor.executemany(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('openalert', %s, %s)", rows
            )
    assert (status, failing(body)) == (503, ["migrations"])
    assert "openalert.0001_pulses_and_elections" in body["checks"]["migrations"]["detail"]


def test_without_redis_it_is_ready_for_intake_works(ticking, settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    status, body = readyz()
    assert (status, body["status"], failing(body)) == (200, "unwell", ["redis"])
    assert readyz("?strict")[0] == 503


def test_tick_that_stalls_makes_it_unwell_but_not_unready(ticking):
    Pulse.objects.filter(name="tick").update(at=timezone.now() - timedelta(seconds=20))
    status, body = readyz()
    assert (status, body["status"], failing(body)) == (200, "unwell", ["tick"])
    assert body["checks"]["tick"]["seconds"] == pytest.approx(20, abs=2)
    assert readyz("?strict")[0] == 503


def test_tick_that_has_never_been_is_said_so():
    assert readyz()[1]["checks"]["tick"]["detail"] == "Escalations were last looked at: never."


@pytest.fixture
def incident():
    """An incident whose first level is ana, a minute overdue."""
    service = ServiceFactory()
    RoutingRuleFactory(
        team=service.team,
        policy=PolicyFactory(team=service.team, levels=[[UserFactory(name="ana")]]),
    )
    incident = lifecycle.open_by_hand(
        service=service, title="Disk full", severity=Severity.CRITICAL, actor=SYSTEM
    )
    incident.escalation_runs.update(due_at=timezone.now() - timedelta(seconds=65))
    return incident


def test_escalation_and_page_that_wait_too_long_make_it_unwell(ticking, incident):
    assert failing(readyz()[1]) == ["escalations"]
    engine.tick()
    assert failing(readyz()[1]) == []
    Notification.objects.update(due_at=timezone.now() - timedelta(seconds=65))
    body = readyz()[1]
    assert failing(body) == ["outbox"]
    assert body["checks"]["outbox"]["seconds"] == pytest.approx(65, abs=3)


def test_tick_and_beat_leave_their_pulses():
    from escalations.tasks import tick

    tick()
    tasks.note_beat()
    assert sorted(Pulse.objects.values_list("name", flat=True)) == ["beat", "tick"]


def test_pulse_is_written_once_in_a_while(django_assert_num_queries):
    with patch.object(pulse, "PERIOD_SECONDS", 3600.0):
        pulse._noted_at.clear()
        with django_assert_num_queries(1):
            for _ in range(5):
                pulse.note("tick")


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "token-of-the-tests-2"}]
)
def test_metrics_want_their_token(given):
    answer = Client().get("/metrics", headers=given)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_without_a_token_metrics_are_for_the_embedded_installation_and_its_machine(settings):
    settings.METRICS_TOKEN, settings.EMBEDDED = "", False
    assert Client().get("/metrics").status_code == 404
    settings.EMBEDDED = True
    assert Client().get("/metrics").status_code == 200
    assert Client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    assert Client(REMOTE_ADDR="10.0.0.7").get("/metrics").status_code == 404


def test_metrics_count_steps_and_pages_and_how_late_they_were(ticking, incident, valkey):
    engine.tick()
    for notification in Notification.objects.all():
        outbox.deliver(notification.pk)
    assert not DeliveryAttempt.objects.exclude(status="sent").exists()
    seen = scrape()
    assert seen["openalert_escalation_steps_total",] == 1
    assert seen["openalert_escalation_lateness_seconds_count",] == 1
    assert seen["openalert_escalation_lateness_seconds_bucket", ("le", "60.0")] == 0
    assert seen["openalert_escalation_lateness_seconds_bucket", ("le", "120.0")] == 1
    assert 65 <= seen["openalert_escalation_lateness_seconds_sum",] < 75
    for provider in ("smtp", "in_app"):
        assert seen["openalert_pages_total", ("outcome", "sent"), ("provider", provider)] == 1
        assert seen["openalert_page_lateness_seconds_count", ("provider", provider)] == 1
    assert seen["openalert_incidents", ("severity", "critical"), ("status", "open")] == 1
    assert {seen["openalert_check_ok", ("check", name)] for name in ("database", "tick", "outbox")} == {1}


def test_failures_of_a_provider_are_counted_by_their_kind(ticking, incident, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    engine.tick()
    for notification in Notification.objects.filter(channel="email"):
        outbox.deliver(notification.pk)
    seen = scrape()
    assert seen["openalert_provider_errors_total", ("kind", "temporary"), ("provider", "smtp")] == 1
    assert seen["openalert_pages_total", ("outcome", "failed"), ("provider", "smtp")] == 1
    assert seen["openalert_outbox_notifications", ("channel", "email")] == 1


def test_totals_begin_anew_with_an_empty_redis_and_wait_while_it_is_away(settings, valkey):
    figures.count(figures.INTAKE_ALERTS, amount=5)
    assert scrape()["openalert_intake_alerts_total",] == 5
    valkey.flushall()
    figures.count(figures.INTAKE_ALERTS, amount=2)
    url, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}/0"
    assert not reporter.flush()
    assert scrape()["openalert_intake_alerts_total",] == 2
    settings.REDIS_URL = url
    assert scrape()["openalert_intake_alerts_total",] == 2


def test_metrics_answer_without_the_database(no_database):
    seen = scrape()
    assert seen["openalert_check_ok", ("check", "database")] == 0
    assert not [key for key in seen if key[0] == "openalert_outbox_oldest_due_seconds"]


def test_failed_task_is_remembered_and_counted(valkey):
    failed_tasks.note("x.tasks.y", ValueError("call +15005550006"))
    failed_tasks.note("x.tasks.y", ValueError("another"))
    failed_tasks.note("x.tasks.z", None)
    [_, y] = failed_tasks.groups()
    assert (y.task, y.error, y.count) == ("x.tasks.y", "ValueError: another", 2)
    assert scrape()["openalert_task_failures_total", ("task", "x.tasks.y")] == 2
    failed_tasks.forget()
    assert failed_tasks.groups() == []


def test_each_process_reports_itself(valkey):
    reporter.gauge("websockets", lambda: 7.0)
    reporter.introduce("web", ["b", "a"])
    reporter.flush()
    [process] = figures.processes()
    assert (process.kind, process.queues, process.gauges["websockets"]) == ("web", ["a", "b"], 7.0)
    assert process.gauges["resident_bytes"] > 1e6
    seen = scrape()
    assert seen["openalert_processes", ("kind", "web")] == 1


def test_reading_costs_the_same_however_much_there_is(ticking):
    with vitals.line() as line:
        assert vitals.unapplied(line) == []
        assert vitals.read(line, whole=True).outbox == 0
