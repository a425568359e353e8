"""Reports by email: who gets them, when, and once."""

import json
import smtplib
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core import mail as outbox_of_django
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from incidents import tasks
from incidents.enums import Recipients, ReportKind
from incidents.exceptions import NobodyGetsReport
from incidents.models import ReportSchedule, ReportSent
from incidents.reports import mail, schedules
from openalert.tests.pages import Pages
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

from .factories import IncidentFactory


@pytest.fixture
def cast(db):
    people = {
        name: UserFactory(name=name, email=f"{name}@example.org")
        for name in ("manager", "responder", "observer", "outsider")
    }
    team = TeamFactory(
        name="Payments",
        managers=[people["manager"]],
        responders=[people["responder"]],
        observers=[people["observer"]],
        time_zone="Europe/Berlin",
    )
    TeamFactory(managers=[people["outsider"]])
    return SimpleNamespace(**people, nobody=None, team=team)


@pytest.fixture
def daily(cast):
    return schedules.add(cast.team, ReportKind.DAILY)


@pytest.fixture
def sent(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    outbox_of_django.outbox = []
    return outbox_of_django.outbox


def test_every_team_gets_a_daily_and_a_weekly_report_at_six_in_its_zone(cast):
    TeamFactory(name="Nowhere")
    assert schedules.add_missing() == 6
    assert schedules.add_missing() == 0
    found = {
        (row.team.name, row.kind): row.task
        for row in ReportSchedule.objects.filter(team__name__in=["Payments", "Nowhere"])
    }
    at = {
        key: (task.crontab.hour, task.crontab.minute, task.crontab.day_of_week, str(task.crontab.timezone))
        for key, task in found.items()
    }
    assert at == {
        ("Payments", "daily"): ("6", "0", "*", "Europe/Berlin"),
        ("Payments", "weekly"): ("6", "0", "1", "Europe/Berlin"),
        ("Nowhere", "daily"): ("6", "0", "*", "America/New_York"),
        ("Nowhere", "weekly"): ("6", "0", "1", "America/New_York"),
    }
    assert all(task.enabled and task.task == "incidents.tasks.send_report" for task in found.values())


def test_beat_runs_the_task_with_the_schedules_id(daily, sent):
    task = PeriodicTask.objects.get(report_schedule=daily)
    [argument] = json.loads(task.args)
    tasks.send_report(argument)
    assert [message.to for message in sent] == [["manager@example.org"]]


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        (Recipients.MANAGERS, ["boss@example.org", "manager@example.org"]),
        (Recipients.RESPONDERS, ["boss@example.org", "manager@example.org", "responder@example.org"]),
        (
            Recipients.EVERYBODY,
            ["boss@example.org", "manager@example.org", "observer@example.org", "responder@example.org"],
        ),
        (Recipients.NOBODY, ["boss@example.org"]),
    ],
)
def test_who_gets_it(daily, recipients, expected):
    daily.recipients, daily.addresses = recipients, ["boss@example.org", "Boss@example.org"]
    assert [address.lower() for address in mail.addresses_of(daily)] == expected


def test_those_who_are_gone_get_none(daily, cast):
    cast.manager.is_active = False
    cast.manager.save()
    assert mail.addresses_of(daily) == []


def test_a_day_has_one_report_however_often_the_task_comes(daily, sent, clock):
    assert mail.send_by_schedule(daily.pk) == 1
    assert mail.send_by_schedule(daily.pk) == 0
    clock.advance(hours=24)
    assert mail.send_by_schedule(daily.pk) == 1
    assert len(sent) == 2


def test_a_schedule_that_is_gone_sends_nothing(daily, sent):
    pk = daily.pk
    schedules.remove(daily)
    tasks.send_report(str(pk))
    assert sent == []
    assert not PeriodicTask.objects.filter(name__contains=str(pk)).exists()


def test_what_the_mail_server_did_not_take_is_tried_again(daily, sent, monkeypatch, clock):
    real = mail.EmailMultiAlternatives.send

    def refuse(self, *args):
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", refuse)
    assert mail.send_by_schedule(daily.pk) == 0
    row = ReportSent.objects.get()
    assert (row.sent_at, row.failure) == (None, "The mail to manager@example.org did not go out: gone")
    assert mail.send_failed() == 0
    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", real)
    assert mail.send_failed() == 1
    assert mail.send_failed() == 0
    assert [message.to for message in sent] == [["manager@example.org"]]


def test_a_report_is_not_tried_for_ever(daily, sent, clock):
    ReportSent.objects.create(
        schedule=daily, address="a@example.org", day=timezone.now().date(), failure="no"
    )
    clock.advance(hours=13)
    assert mail.send_failed() == 0


def test_what_it_says(daily, cast, sent, clock):
    service = ServiceFactory(team=cast.team, name="Checkout")
    at = timezone.now() - timedelta(hours=3)
    IncidentFactory(service=service, title="Checkout <fails>", opened_at=at)
    IncidentFactory(title="Not theirs", opened_at=at)
    assert mail.send_by_schedule(daily.pk) == 1
    [message] = sent
    assert message.subject == "Daily report of Payments: 1 incidents"
    assert "Sun 1 Mar 2026, 13:00 to Mon 2 Mar 2026, 13:00 CET" in message.body
    assert "Checkout <fails> (High, Checkout, open)" in message.body
    [(html, kind)] = message.alternatives
    assert kind == "text/html"
    assert "Checkout &lt;fails&gt;" in html
    assert "1 unresolved now" in html
    assert "Not theirs" not in html + message.body
    assert f"/reports/?period=1&amp;team={cast.team.pk}" in html


def test_a_weekly_report_covers_seven_days(cast, sent, clock):
    weekly = schedules.add(cast.team, ReportKind.WEEKLY)
    service = ServiceFactory(team=cast.team)
    IncidentFactory(service=service, title="Six days ago", opened_at=timezone.now() - timedelta(days=6))
    mail.send_by_schedule(weekly.pk)
    assert "Six days ago" in sent[0].body


def test_send_now_asks_nothing_and_tells_how_many(daily, sent):
    assert mail.send_now(daily) == 1
    assert mail.send_now(daily) == 1
    assert len(sent) == 2
    daily.recipients = Recipients.NOBODY
    with pytest.raises(NobodyGetsReport):
        mail.send_now(daily)


def test_who_may_send_now(cast, daily, sent):
    pages = Pages(cast)
    path = reverse("report-send", args=[daily.pk])
    assert pages.statuses("post", path) == Pages.answers(302, 404, 404, 404)
    assert "Daily report of Payments" in pages.text("manager", reverse("reports"))
    assert "Reports by email" not in pages.text("responder", reverse("reports"))


def test_the_admin_sends_now_and_saves(daily, sent, client):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    page = reverse("admin:incidents_reportschedule_change", args=[daily.pk])
    assert "Save and send now" in client.get(page).text
    given = {"recipients": "nobody", "addresses": "boss@example.org", "_send": "1"}
    given |= {"sent-TOTAL_FORMS": "0", "sent-INITIAL_FORMS": "0"}
    assert client.post(page, given).status_code == 302
    assert [message.to for message in sent] == [["boss@example.org"]]
    listed = reverse("admin:incidents_reportschedule_changelist")
    client.post(listed, {"action": "send_now", "_selected_action": [str(daily.pk)]})
    assert len(sent) == 2
