"""Maintenance windows: who adds, changes and ends them. That paging waits is told in escalations' tests."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from alerts import maintenance, maintenance_labels
from alerts.exceptions import (
    InvalidRule,
    NotTheTeamsServices,
    WindowEndsBeforeStart,
    WindowInThePast,
    WindowIsOver,
)
from alerts.models import MaintenanceWindow
from alerts.signals import maintenance_windows_changed
from alerts.tests.factories import MaintenanceWindowFactory
from teams.models import User
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db
PATH = "/api/v1/maintenance-windows"


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team)
    return cast


def hours(count):
    return timezone.now() + timedelta(hours=count)


def body(cast, **given):
    return {
        "team": str(cast.team.pk),
        "title": "Upgrade",
        "starts_at": hours(1).isoformat(),
        "ends_at": hours(2).isoformat(),
        **given,
    }


def errors(response):
    return response.status_code, [(e["code"], e["field"]) for e in response.json()["errors"]]


def test_windows_are_seen_by_members_and_written_by_responders(cast):
    path = f"{PATH}/{MaintenanceWindowFactory(team=cast.team).pk}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"title": "Other"}) == answers(200, 200, 403, 404)
    assert cast.statuses("delete", path) == answers(204, 204, 403, 404)
    assert cast.statuses("post", PATH, body(cast)) == answers(201, 201, 403, 400)


def test_a_window_is_added_changed_and_cancelled(cast):
    api = cast.api("responder")
    window = api.post(PATH, body(cast, services=[str(cast.service.pk)])).json()
    assert (window["services"], window["created_by"]["name"]) == ([str(cast.service.pk)], "Rui Responder")
    path = f"{PATH}/{window['id']}"
    assert api.patch(path, {"services": [], "title": "Longer"}).json()["services"] == []
    # What cannot be changed is not heeded.
    assert api.patch(path, {"team": str(cast.other_team.pk)}).json()["team"] == str(cast.team.pk)
    assert api.delete(path).status_code == 204
    assert not MaintenanceWindow.objects.exists()


def test_a_window_that_has_begun_ends_now_and_stays(cast, clock):
    window = MaintenanceWindowFactory(team=cast.team)
    clock.advance(minutes=10)
    path = f"{PATH}/{window.pk}"
    api = cast.api("responder")
    assert api.delete(path).status_code == 204
    window.refresh_from_db()
    assert window.ends_at == clock.now
    assert errors(api.delete(path)) == (409, [("window_is_over", None)])
    assert errors(api.patch(path, {"title": "x"})) == (409, [("window_is_over", None)])


def test_what_is_wrong_with_a_window(cast):
    api = cast.api("manager")
    elsewhere = ServiceFactory(team__managers=[cast.manager])
    for given, error in (
        (
            {"ends_at": hours(1).isoformat(), "starts_at": hours(2).isoformat()},
            ("ends_before_start", "ends_at"),
        ),
        (
            {"ends_at": hours(-1).isoformat(), "starts_at": hours(-2).isoformat()},
            ("window_in_the_past", "ends_at"),
        ),
        ({"services": [str(elsewhere.pk)]}, ("not_the_teams_services", "services")),
        ({"services": [str(ServiceFactory().pk)]}, ("does_not_exist", "services")),
        ({"team": str(cast.other_team.pk)}, ("does_not_exist", "team")),
        ({"title": ""}, ("blank", "title")),
    ):
        assert errors(api.post(PATH, body(cast, **given))) == (400, [error])
    assert not MaintenanceWindow.objects.exists()


def test_whoever_listens_hears_of_every_change(cast, clock):
    heard = []

    def listen(windows, **kwargs):
        heard.append([window.title for window in windows])

    maintenance_windows_changed.connect(listen)
    try:
        given = {"title": "One", "starts_at": hours(0), "ends_at": hours(1)}
        window = maintenance.add_window(team=cast.team, by=None, **given)
        maintenance.change_window(window.pk, title="Two")
        clock.advance(minutes=1)
        maintenance.cancel_window(window.pk)
        with pytest.raises(WindowIsOver):
            maintenance.cancel_window(window.pk)
    finally:
        maintenance_windows_changed.disconnect(listen)
    assert heard == [["One"], ["Two"], ["Two"]]


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        ({"ends_at": -1}, WindowEndsBeforeStart),
        ({"starts_at": -2, "ends_at": -1}, WindowInThePast),
        ({"services": lambda: [ServiceFactory()]}, NotTheTeamsServices),
    ],
)
def test_the_heart_refuses_the_same(cast, given, failure):
    values = {"starts_at": 0, "ends_at": 1, "services": list, **given}
    with pytest.raises(failure):
        maintenance.add_window(
            team=cast.team,
            title="x",
            starts_at=hours(values["starts_at"]),
            ends_at=hours(values["ends_at"]),
            services=values["services"](),
            by=None,
        )


def test_windows_to_heed_take_the_same_queries_however_many(cast, django_assert_num_queries):
    MaintenanceWindowFactory(team=cast.team, services=[cast.service])
    MaintenanceWindowFactory()
    for count in (1, 3):
        with django_assert_num_queries(2):
            found = maintenance.windows_to_heed([cast.team.pk], at=hours(0))
            assert [window.covers(cast.service, hours(0.5)) for window in found] == [True] * count
        MaintenanceWindowFactory.create_batch(2, team=cast.team)


def test_the_list_takes_the_same_queries_however_long(cast):
    MaintenanceWindowFactory(team=cast.team, services=[cast.service], created_by=cast.manager)
    one = count_queries(cast.api("observer"), PATH)
    MaintenanceWindowFactory.create_batch(2, team=cast.team, services=[cast.service], created_by=cast.manager)
    assert (one[0], count_queries(cast.api("observer"), PATH)) == (1, (3, one[1]))


def test_the_administrator_writes_windows_through_the_heart(client, cast):
    client.force_login(User.objects.create_superuser("root@example.org", "x", name="Root"))

    def given(starts_at, ends_at, **more):
        fields = {
            "title": "Upgrade",
            "services": [cast.service.pk],
            "mode": "suppress",
            "conditions": "[]",
            **more,
        }
        for name, at in (("starts_at", starts_at), ("ends_at", ends_at)):
            fields |= {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}
        return fields

    add = reverse("admin:alerts_maintenancewindow_add")
    wrong = client.post(add, given(hours(2), hours(1), team=cast.team.pk))
    assert WindowEndsBeforeStart.detail in wrong.text
    assert client.post(add, given(hours(-1), hours(1), team=cast.team.pk)).status_code == 302
    window = MaintenanceWindow.objects.get()
    assert (window.created_by.name, list(window.services.all())) == ("Root", [cast.service])
    change = reverse("admin:alerts_maintenancewindow_change", args=[window.pk])
    assert client.post(change, given(hours(-1), hours(3), services=[])).status_code == 302
    window.refresh_from_db()
    assert (window.ends_at > hours(2), window.services.count()) == (True, 0)
    delete = reverse("admin:alerts_maintenancewindow_delete", args=[window.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 302
    window.refresh_from_db()
    assert window.ends_at <= timezone.now()


def test_windows_about_labels_are_written_and_their_faults_told_at_their_place(cast):
    api = cast.api("responder")
    conditions = [{"test": "equals", "field": "labels.cluster", "value": "eu-1"}]
    window = api.post(PATH, body(cast, conditions=conditions, mode="low_urgency")).json()
    assert (window["conditions"], window["mode"]) == (conditions, "low_urgency")
    path = f"{PATH}/{window['id']}"
    assert api.patch(path, {"title": "x"}).json()["conditions"] == conditions
    assert api.patch(path, {"conditions": [], "mode": "suppress"}).json()["conditions"] == []
    for wrong, field in (
        ([{"test": "matches", "field": "labels.a", "pattern": "("}], "conditions.0.pattern"),
        ([{"test": "equals", "field": "title", "value": "x"}], "conditions.0.field"),
        ([{"test": "exists", "field": "labels.a"}], "conditions.0.test"),
        ([conditions[0]] * 11, "conditions"),
        ({"a": 1}, "conditions"),
    ):
        assert errors(api.post(PATH, body(cast, conditions=wrong))) == (400, [("invalid_rule", field)])
    series = {"repeats": "daily", "time_zone": "UTC", "conditions": conditions, "mode": "low_urgency"}
    made = api.post("/api/v1/maintenance-series", body(cast, **series)).json()
    windows = MaintenanceWindow.objects.filter(series=made["id"])
    assert {(w.mode, w.conditions_in_words[0]) for w in windows} == {("low_urgency", "cluster = eu-1")}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cluster=eu-1", "cluster = eu-1"),
        (" labels.host ~ ^db-[0-9]+$ ", "host ~ ^db-[0-9]+$"),
        ("query = a=b ~ c", "query = a=b ~ c"),
    ],
)
def test_conditions_are_read_as_people_write_them(line, words):
    assert maintenance_labels.in_words(maintenance_labels.parse(f"\n{line}\n")) == [words]


@pytest.mark.parametrize("line", ["cluster", "= x", "a ~ (", "a =", "x" * 300 + " = 1"])
def test_conditions_that_cannot_be_read_are_refused(line):
    with pytest.raises(InvalidRule):
        maintenance_labels.parse(line)
