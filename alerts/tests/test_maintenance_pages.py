"""Maintenance on pages: who plans, extends and ends it, and where it is said."""

from datetime import timedelta

import pytest
from django.urls import reverse

from alerts.maintenance_calendar import weeks_of
from alerts.models import MaintenanceSeries, MaintenanceWindow
from alerts.tests.factories import MaintenanceWindowFactory
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def pages(clock):
    pages = Pages(Cast())
    pages.clock = clock
    pages.service = ServiceFactory(team=pages.cast.team, name="Checkout")
    return pages


@pytest.fixture
def window(pages):
    return MaintenanceWindowFactory(team=pages.cast.team, title="Upgrade", starts_at=pages.clock.now)


def local(pages, who, instant):
    return instant.astimezone(getattr(pages.cast, who).tzinfo).strftime("%Y-%m-%dT%H:%M")


def form(pages, who="responder", **given):
    begins = pages.clock.now + timedelta(hours=1)
    return {
        "title": "Upgrade",
        "team": pages.cast.team.pk,
        "starts_at": local(pages, who, begins),
        "ends_at": local(pages, who, begins + timedelta(hours=2)),
        "mode": "suppress",
        "repeats": "",
        **given,
    }


def test_who_sees_and_does_what(pages, window):
    pk, service = window.pk, pages.service.pk
    assert pages.statuses("get", reverse("maintenance")) == pages.answers(200, 200, 200, 200)
    assert pages.statuses("get", reverse("maintenance-new")) == pages.answers(200, 200, 403, 200)
    assert pages.statuses("get", reverse("maintenance-window", args=[pk])) == pages.answers(
        200, 200, 403, 404
    )
    assert pages.statuses("post", reverse("maintenance-end", args=[pk])) == pages.answers(302, 302, 403, 404)
    now = f"{reverse('maintenance-now')}?service={service}"
    assert pages.statuses("get", now) == pages.answers(200, 200, 200, 404)
    extend = reverse("maintenance-extend", args=[pk])
    assert pages.statuses("post", extend, {"span": "00:30:00"}) == pages.answers(302, 302, 403, 404)
    assert pages.statuses("get", f"{reverse('maintenance-now')}?service=x") == pages.answers(
        404, 404, 404, 404
    )


def test_the_outsider_sees_nothing_of_it(pages, window):
    assert "Upgrade" in pages.text("observer", reverse("maintenance"))
    assert "Upgrade" not in pages.text("outsider", reverse("maintenance"))
    assert pages.text("outsider", reverse("maintenance-now")).strip() == ""


def test_a_window_is_planned_for_a_service(pages):
    client = pages.client("responder")
    path = f"{reverse('maintenance-new')}?service={pages.service.pk}"
    assert "checked" in client.get(path, headers=HTMX).text
    response = client.post(path, form(pages, services=[pages.service.pk]), headers=HTMX)
    assert (response.status_code, "maintenance-changed" in response["HX-Trigger"]) == (204, True)
    window = MaintenanceWindow.objects.get()
    assert (window.starts_at, list(window.services.all())) == (
        pages.clock.now + timedelta(hours=1),
        [pages.service],
    )
    assert "Checkout" in pages.text("observer", reverse("maintenance"))


def test_one_that_repeats_keeps_to_the_persons_clock(pages):
    pages.cast.responder.time_zone = "Asia/Tokyo"
    pages.cast.responder.save()
    pages.client("responder").post(reverse("maintenance-new"), form(pages, repeats="weekly"))
    series = MaintenanceSeries.objects.get()
    assert (series.time_zone, series.windows.count()) == ("Asia/Tokyo", 5)
    text = pages.text("responder", reverse("maintenance"))
    assert "Every week" in text and text.count("comes again") >= 5
    path = reverse("maintenance-series", args=[series.pk])
    given = form(pages, repeats="daily", title="Other")
    del given["team"]
    assert pages.client("responder").post(path, given).status_code == 302
    series.refresh_from_db()
    assert (series.title, series.windows.count() > 30) == ("Other", True)
    assert pages.statuses("post", reverse("maintenance-series-end", args=[series.pk])) == pages.answers(
        302, 302, 403, 404
    )


def test_what_is_wrong_is_said_at_its_field(pages):
    client = pages.client("responder")
    backwards = form(pages, ends_at=local(pages, "responder", pages.clock.now))
    response = client.post(reverse("maintenance-new"), backwards)
    assert (response.status_code, "It has to end after it starts." in response.text) == (422, True)
    foreign = ServiceFactory(team=pages.cast.other_team)
    response = client.post(reverse("maintenance-new"), form(pages, services=[foreign.pk]))
    assert response.status_code == 422
    response = client.post(reverse("maintenance-new"), form(pages, team=pages.cast.other_team.pk))
    assert response.status_code == 422
    assert not MaintenanceWindow.objects.exists()


def test_a_window_about_labels_is_planned_changed_and_told(pages):
    client = pages.client("responder")
    begins = local(pages, "responder", pages.clock.now)
    wrong = form(pages, starts_at=begins, conditions="host ~ (")
    response = client.post(reverse("maintenance-new"), wrong)
    assert (response.status_code, "not a pattern of RE2" in response.text) == (422, True)
    client.post(
        reverse("maintenance-new"),
        form(pages, starts_at=begins, conditions="cluster = eu-1\r\nhost ~ ^db-", mode="low_urgency"),
    )
    window = MaintenanceWindow.objects.get()
    assert window.conditions_in_words == ["cluster = eu-1", "host ~ ^db-"]
    text = pages.text("observer", reverse("maintenance-now"))
    assert "People are paged with low urgency for all services where <code>cluster = eu-1</code> and" in text
    path = reverse("maintenance-window", args=[window.pk])
    assert "cluster = eu-1\nhost ~ ^db-</textarea>" in client.get(path).text
    given = form(pages, starts_at=begins, conditions="", mode="suppress")
    assert client.post(path, given).status_code == 302
    window.refresh_from_db()
    assert (window.conditions, window.mode) == ([], "suppress")


def test_it_is_extended_and_ended(pages, window):
    client = pages.client("responder")
    client.post(reverse("maintenance-extend", args=[window.pk]), {"span": "00:30:00"})
    window.refresh_from_db()
    assert window.ends_at == pages.clock.now + timedelta(hours=1, minutes=30)
    for span in ("", "x", "-01:00:00", "25:00:00", "9999999999999999"):
        response = client.post(reverse("maintenance-extend", args=[window.pk]), {"span": span}, headers=HTMX)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "invalid_span")
    pages.clock.advance(minutes=5)
    client.post(reverse("maintenance-end", args=[window.pk]))
    window.refresh_from_db()
    assert window.ends_at == pages.clock.now
    response = client.post(reverse("maintenance-end", args=[window.pk]), headers=HTMX)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "window_is_over")


def test_a_banner_says_it_where_it_matters(pages, window):
    other = ServiceFactory(team=pages.cast.team)
    window.services.set([pages.service])
    now = reverse("maintenance-now")
    assert "Checkout" in pages.text("observer", now)
    assert "Upgrade" in pages.text("observer", f"{now}?service={pages.service.pk}")
    assert "Upgrade" not in pages.text("observer", f"{now}?service={other.pk}")
    pages.clock.advance(hours=2)
    assert "Upgrade" not in pages.text("observer", now)


def test_a_list_takes_as_many_queries_however_long_it_is(pages):
    few = pages.count_queries("manager", reverse("maintenance"))
    for hours in range(-4, 5):
        starts_at = pages.clock.now + timedelta(hours=2 * hours)
        MaintenanceWindowFactory(team=pages.cast.team, starts_at=starts_at, services=[pages.service])
    many = pages.count_queries("manager", reverse("maintenance"))
    assert many <= few + 3  # the services of each of the lists, which had none


def test_a_month_shows_each_day_of_a_window_on_the_clock_of_whoever_looks(pages):
    begins = pages.clock.now.replace(month=3, day=8, hour=20, minute=0)
    cast = pages.cast
    MaintenanceWindowFactory(
        team=cast.team, title="Long", starts_at=begins, ends_at=begins + timedelta(hours=28)
    )
    MaintenanceWindowFactory(team=cast.other_team, title="Secret", starts_at=begins)
    path = reverse("maintenance-calendar")
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 200)
    zones = {"UTC": {8, 9}, "Asia/Tokyo": {9, 10}}
    for zone, days in zones.items():
        cast.observer.time_zone = zone
        weeks = weeks_of(begins.date().replace(day=1), user=cast.observer)
        shown = [day for week in weeks for day in week if day.parts]
        assert {day.day.day for day in shown if day.is_of_month} == days
        assert [(day.parts[0].begins, day.parts[0].ends) for day in shown] == [(True, False), (False, True)]
    assert weeks[0][0].day.weekday() == 0
    text = pages.text("observer", f"{path}?month={begins:%Y-%m}")
    assert "Long" in text and "Secret" not in text
    assert "No maintenance falls into this month" in pages.text("observer", f"{path}?month=2031-01")
    for odd in ("x", "0001-01", "9999-12", "2026-13", "2026-03-01"):
        assert f"<h1>{pages.clock.now:%B %Y}</h1>" in pages.text("observer", f"{path}?month={odd}")
