from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from openalert.ids import uuid7
from teams.enums import Role
from teams.models import Membership, Override
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import (
    LayerFactory,
    MembershipFactory,
    OverrideFactory,
    ScheduleFactory,
    ServiceFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

CHANGED_BY_MANAGERS = answers(200, 403, 403, 404)
REMOVED_BY_MANAGERS = answers(204, 403, 403, 404)
MADE_BY_MANAGERS = answers(201, 403, 403, 400)


@pytest.fixture
def cast():
    return Cast()


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


# Who may do what


def test_services_are_seen_by_members_and_changed_by_managers(cast):
    service = ServiceFactory(team=cast.team)
    path = f"/api/v1/services/{service.pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"name": "Checkout"}) == CHANGED_BY_MANAGERS
    assert cast.statuses("delete", path) == REMOVED_BY_MANAGERS
    body = {"team": str(cast.team.pk), "name": "Refunds"}
    assert cast.statuses("post", "/api/v1/services", body) == MADE_BY_MANAGERS


def test_schedules_are_seen_by_members_and_changed_by_managers(cast):
    path = f"/api/v1/schedules/{ScheduleFactory(team=cast.team).pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("get", f"{path}/on-call") == SEEN_BY_MEMBERS
    assert cast.statuses("get", f"{path}/shifts") == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"layers": []}) == CHANGED_BY_MANAGERS
    assert cast.statuses("delete", path) == REMOVED_BY_MANAGERS
    body = {"team": str(cast.team.pk), "name": "Nights"}
    assert cast.statuses("post", "/api/v1/schedules", body) == MADE_BY_MANAGERS


def test_overrides_are_changed_by_responders_too(cast):
    override = OverrideFactory(schedule=ScheduleFactory(team=cast.team), user=cast.responder)
    path = f"/api/v1/schedule-overrides/{override.pk}"
    body = {
        "schedule": str(override.schedule.pk),
        "user": str(cast.manager.pk),
        "starts_at": "2099-03-02T09:00:00Z",
        "ends_at": "2099-03-02T17:00:00Z",
    }

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("put", path, body) == answers(405, 405, 405, 405)
    assert cast.statuses("delete", path) == answers(204, 204, 403, 404)
    assert cast.statuses("post", "/api/v1/schedule-overrides", body) == answers(201, 201, 403, 400)


def test_memberships_are_seen_by_members_and_changed_by_managers(cast):
    membership = Membership.objects.get(user=cast.observer)
    path = f"/api/v1/memberships/{membership.pk}"
    newcomer = MembershipFactory(team=TeamFactory(managers=[cast.manager])).user

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"role": "responder"}) == CHANGED_BY_MANAGERS
    assert cast.statuses("delete", path) == REMOVED_BY_MANAGERS
    body = {"team": str(cast.team.pk), "user": str(newcomer.pk), "role": "observer"}
    # The newcomer is no colleague of the responder and the observer: to them there is no such person.
    assert cast.statuses("post", "/api/v1/memberships", body) == answers(201, 400, 400, 400)


def test_teams_are_changed_by_managers_but_made_and_removed_by_superusers(cast):
    path = f"/api/v1/teams/{cast.team.pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"description": "Money."}) == CHANGED_BY_MANAGERS
    assert cast.statuses("delete", path) == answers(403, 403, 403, 404)
    assert cast.statuses("post", "/api/v1/teams", {"name": "New"}) == answers(403, 403, 403, 403)

    cast.manager.is_superuser = True
    assert cast.api("manager").post("/api/v1/teams", {"name": "New"}).status_code == 201
    assert cast.api("manager").delete(path).status_code == 204


def test_people_are_seen_by_those_who_share_a_team_with_them(cast):
    assert cast.statuses("get", f"/api/v1/users/{cast.observer.pk}") == SEEN_BY_MEMBERS
    names = [user["name"] for user in cast.api("observer").get("/api/v1/users").json()["results"]]
    assert names == ["Mara Manager", "Ona Observer", "Rui Responder"]


def test_the_team_filter_of_people_does_not_tell_about_hidden_teams(cast):
    MembershipFactory(team=cast.other_team, user=cast.responder)

    def people(who, team):
        response = cast.api(who).get(f"/api/v1/users?team={team.pk}")
        return [user["name"] for user in response.json()["results"]]

    assert people("manager", cast.team) == ["Mara Manager", "Ona Observer", "Rui Responder"]
    assert people("manager", cast.other_team) == []
    assert people("responder", cast.other_team) == ["Otis Outsider", "Rui Responder"]


def test_each_sees_and_changes_only_themselves_at_me(cast):
    assert cast.statuses("get", "/api/v1/me") == answers(200, 200, 200, 200)
    response = cast.api("responder").patch(
        "/api/v1/me", {"time_zone": "Europe/Lisbon", "email": "x@example.org"}
    )
    me = response.json()
    assert (me["name"], me["initials"], me["time_zone"]) == ("Rui Responder", "RR", "Europe/Lisbon")
    assert me["email"] == cast.responder.email
    assert [(m["team"]["name"], m["role"]) for m in me["memberships"]] == [("Payments", "responder")]

    wrong = cast.api("responder").patch("/api/v1/me", {"time_zone": "Mars/Base", "phone": "12"})
    assert errors(wrong) == [("invalid", "phone"), ("invalid", "time_zone")]


# What belongs together


def test_what_one_may_not_see_cannot_be_named(cast):
    body = {"team": str(cast.other_team.pk), "name": "Ours?"}
    response = cast.api("manager").post("/api/v1/services", body)
    assert (response.status_code, errors(response)) == (400, [("does_not_exist", "team")])


def test_moving_to_another_team_takes_the_rights_on_both(cast):
    path = f"/api/v1/services/{ServiceFactory(team=cast.team).pk}"
    elsewhere = TeamFactory(responders=[cast.manager])

    assert cast.api("manager").patch(path, {"team": str(elsewhere.pk)}).status_code == 403
    Membership.objects.filter(team=elsewhere).update(role=Role.MANAGER)
    assert cast.api("manager").patch(path, {"team": str(elsewhere.pk)}).json()["team"] == str(elsewhere.pk)


def test_a_name_that_is_taken_is_an_error_of_the_name(cast):
    ServiceFactory(team=cast.team, name="Checkout")
    body = {"team": str(cast.team.pk), "name": "CHECKOUT"}
    response = cast.api("manager").post("/api/v1/services", body)
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"code": "unique", "detail": "There is such a service already.", "field": "name"}
    ]


def test_a_person_belongs_to_a_team_once(cast):
    body = {"team": str(cast.team.pk), "user": str(cast.observer.pk), "role": "manager"}
    response = cast.api("manager").post("/api/v1/memberships", body)
    assert (response.status_code, errors(response)) == (400, [("unique", "user")])


def test_a_team_with_services_is_in_use(cast):
    ServiceFactory(team=cast.team)
    cast.manager.is_superuser = True
    response = cast.api("manager").delete(f"/api/v1/teams/{cast.team.pk}")
    assert response.status_code == 409
    assert response.json()["errors"] == [
        {
            "code": "in_use",
            "detail": "It is still in use by services: remove or move those first.",
            "field": None,
        }
    ]


# Schedules


def layer(*people, **values):
    return {
        "rotation": "weekly",
        "starts_at": "2026-01-05T09:00:00Z",
        "participants": [str(person.pk) for person in people],
        **values,
    }


def test_a_schedule_is_written_with_its_layers_and_comes_back_the_same(cast):
    body = {
        "team": str(cast.team.pk),
        "name": "Primary",
        "time_zone": "Europe/Berlin",
        "layers": [
            layer(cast.manager, cast.responder, cast.manager, name="Weeks"),
            layer(
                cast.observer, name="Nights", rotation="daily", turn_length=2, ends_at="2026-06-01T00:00:00Z"
            ),
        ],
    }
    api = cast.api("manager")
    schedule = api.post("/api/v1/schedules", body).json()
    assert [(each["name"], each["participants"]) for each in schedule["layers"]] == [
        ("Weeks", [str(p.pk) for p in (cast.manager, cast.responder, cast.manager)]),
        ("Nights", [str(cast.observer.pk)]),
    ]

    again = api.put(f"/api/v1/schedules/{schedule['id']}", schedule).json()
    for each in (*schedule["layers"], *again["layers"]):
        del each["id"]
    assert again["layers"] == schedule["layers"]

    renamed = api.patch(f"/api/v1/schedules/{schedule['id']}", {"name": "First"}).json()
    assert len(renamed["layers"]) == 2


def test_a_wrong_layer_changes_nothing_of_the_schedule(cast):
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.manager])
    body = {
        "name": "Changed",
        "layers": [
            layer(cast.manager),
            layer(cast.manager, cast.outsider),
            layer(ends_at="2025-01-01T00:00:00Z"),
            layer(turn_length=0),
            layer(starts_at="9999-12-31T00:00:00Z"),
        ],
    }
    response = cast.api("manager").patch(f"/api/v1/schedules/{schedule.pk}", body)
    assert response.status_code == 400
    assert sorted(errors(response)) == [
        ("does_not_exist", "layers.1.participants.1"),
        ("ends_before_start", "layers.2.ends_at"),
        ("min_value", "layers.3.turn_length"),
        ("out_of_range", "layers.4.starts_at"),
    ]
    schedule.refresh_from_db()
    assert (schedule.name == "Changed", schedule.layers.count()) == (False, 1)


def test_an_override_ends_after_it_starts_and_remembers_who_made_it(cast):
    schedule = ScheduleFactory(team=cast.team)
    body = {"schedule": str(schedule.pk), "user": str(cast.manager.pk), "starts_at": "2099-03-02T09:00:00Z"}
    api = cast.api("responder")

    wrong = api.post("/api/v1/schedule-overrides", {**body, "ends_at": "2099-03-02T09:00:00Z"})
    assert errors(wrong) == [("ends_before_start", "ends_at")]
    made = api.post("/api/v1/schedule-overrides", {**body, "ends_at": "2099-03-02T10:00:00Z"}).json()
    assert made["created_by"]["name"] == "Rui Responder"
    assert Override.objects.get().created_by == cast.responder


def test_overrides_do_not_rewrite_what_has_been(cast, clock):
    schedule = ScheduleFactory(team=cast.team)
    api = cast.api("responder")
    past = {"schedule": str(schedule.pk), "user": str(cast.manager.pk), "starts_at": "2026-03-01T09:00:00Z"}
    wrong = api.post("/api/v1/schedule-overrides", {**past, "ends_at": "2026-03-01T10:00:00Z"})
    assert errors(wrong) == [("override_in_the_past", "ends_at")]
    wrong = api.post(
        "/api/v1/schedule-overrides",
        {**past, "user": str(cast.observer.pk), "ends_at": "2026-03-02T20:00:00Z"},
    )
    assert errors(wrong) == [("not_a_responder", "user")]
    made = api.post("/api/v1/schedule-overrides", {**past, "ends_at": "2026-03-02T20:00:00Z"}).json()
    assert made["starts_at"] == "2026-03-02T12:00:00Z"
    clock.advance(hours=2)
    assert api.delete(f"/api/v1/schedule-overrides/{made['id']}").status_code == 204
    assert Override.objects.get().ends_at == clock.now
    assert api.delete(f"/api/v1/schedule-overrides/{made['id']}").status_code == 409


def test_who_is_on_call_at_an_instant_and_over_a_span(cast):
    schedule = ScheduleFactory(team=cast.team, name="Primary", on_call=[cast.manager, cast.responder])
    OverrideFactory(
        schedule=schedule,
        user=cast.observer,
        starts_at=datetime(2025, 1, 7, 12, tzinfo=UTC),
        ends_at=datetime(2025, 1, 7, 18, tzinfo=UTC),
    )
    api, path = cast.api("observer"), f"/api/v1/schedules/{schedule.pk}"

    answer = api.get(f"{path}/on-call?at=2025-01-13T09:00:00Z").json()
    assert (answer["schedule"]["name"], answer["team"]["name"]) == ("Primary", "Payments")
    assert (answer["at"], [p["name"] for p in answer["people"]]) == (
        "2025-01-13T09:00:00Z",
        ["Rui Responder"],
    )
    assert api.get(f"{path}/on-call?at=2024-01-01T00:00:00Z").json()["people"] == []

    shifts = api.get(f"{path}/shifts?from=2025-01-07T00:00:00Z&to=2025-01-08T00:00:00Z").json()
    assert [(s["users"][0]["name"], s["starts_at"], s["source"]) for s in shifts] == [
        ("Mara Manager", "2025-01-07T00:00:00Z", "rotation"),
        ("Ona Observer", "2025-01-07T12:00:00Z", "override"),
        ("Mara Manager", "2025-01-07T18:00:00Z", "rotation"),
    ]
    assert [(s["layer"] is None, s["override"] is None) for s in shifts] == [
        (False, True),
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("on-call?at=soon", ("invalid", "at")),
        ("on-call?at=9999-12-31T23:59:59Z", ("out_of_range", "at")),
        ("shifts?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", ("range_not_allowed", "to")),
        ("shifts?from=2026-01-01T00:00:00Z&to=2026-04-04T00:00:00Z", ("range_not_allowed", "to")),
    ],
)
def test_an_instant_that_makes_no_sense_is_refused(cast, query, error):
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.manager])
    response = cast.api("manager").get(f"/api/v1/schedules/{schedule.pk}/{query}")
    assert (response.status_code, errors(response)) == (400, [error])


def test_who_is_on_call_now_in_every_schedule_one_sees(cast):
    ScheduleFactory(team=cast.team, name="Primary", on_call=[cast.manager])
    ScheduleFactory(team=cast.team, name="Empty")
    ScheduleFactory(team=cast.other_team, on_call=[cast.outsider])

    results = cast.api("observer").get("/api/v1/on-call").json()["results"]
    assert [(each["schedule"]["name"], [p["name"] for p in each["people"]]) for each in results] == [
        ("Empty", []),
        ("Primary", ["Mara Manager"]),
    ]


def test_layers_with_groups_restrictions_holidays_and_a_fallback(cast):
    windows = [{"from": "17:00", "to": "09:00", "days": [1, 2, 3, 4, 5]}]
    body = {
        "team": str(cast.team.pk),
        "name": "Primary",
        "fallback": str(cast.manager.pk),
        "layers": [
            layer(
                participants=[[str(cast.manager.pk), str(cast.responder.pk)], str(cast.manager.pk), []],
                rotation="monthly",
                hand_over_day=31,
                hand_over_time="09:30:00",
                restrictions=windows,
                holidays_of="DE-BY",
                on_holidays="off",
            )
        ],
    }
    api = cast.api("manager")
    made = api.post("/api/v1/schedules", body).json()
    [shown] = made["layers"]
    assert {name: shown[name] for name in body["layers"][0]} == body["layers"][0]
    assert made["fallback"] == str(cast.manager.pk)
    assert [warning["code"] for warning in made["warnings"]][:1] == ["fallback_only"]
    assert {"person_deleted"} < {warning["code"] for warning in made["warnings"]}

    assert api.patch(f"/api/v1/schedules/{made['id']}", {"fallback": None}).json()["fallback"] is None
    wrong = api.patch(f"/api/v1/schedules/{made['id']}", {"fallback": str(cast.observer.pk)})
    assert errors(wrong) == [("not_a_responder", "fallback")]


def test_wrong_values_of_layers_are_told_by_field(cast):
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.manager])
    wrong = [
        ({"participants": "ana"}, "not_a_list", "participants"),
        ({"participants": [["x"]]}, "invalid", "participants.0"),
        ({"participants": [[str(cast.manager.pk)] * 11]}, "max_length", "participants.0"),
        ({"restrictions": [{"from": "9"}]}, "invalid", "restrictions"),
        ({"holidays_of": "XX"}, "invalid", "holidays_of"),
        ({"hand_over_day": 9}, "invalid", "hand_over_day"),
        ({"calendar_url": "ftp://example.org"}, "invalid", "calendar_url"),
    ]
    body = {"layers": [layer(cast.manager) | values for values, *_ in wrong]}
    response = cast.api("manager").patch(f"/api/v1/schedules/{schedule.pk}", body)
    assert response.status_code == 400
    expected = {(code, f"layers.{number}.{field}") for number, (_, code, field) in enumerate(wrong)}
    assert set(errors(response)) == expected


def test_a_layer_keeps_its_id_and_its_past_when_it_is_changed(cast, clock):
    api = cast.api("manager")
    body = {"team": str(cast.team.pk), "name": "Primary", "layers": [layer(cast.manager)]}
    made = api.post("/api/v1/schedules", body).json()
    clock.advance(hours=1)
    path = f"/api/v1/schedules/{made['id']}"
    changed = api.patch(path, {"layers": [layer(cast.responder)]}).json()
    assert changed["layers"][0]["id"] == made["layers"][0]["id"]
    shifts = api.get(f"{path}/shifts?from=2026-03-02T12:00:00Z&to=2026-03-02T14:00:00Z").json()
    assert [(s["users"][0]["name"], s["starts_at"], s["layer"]) for s in shifts] == [
        ("Mara Manager", "2026-03-02T12:00:00Z", made["layers"][0]["id"]),
        ("Rui Responder", "2026-03-02T13:00:00Z", made["layers"][0]["id"]),
    ]


def test_the_address_of_a_calendar_is_the_managers_secret(cast):
    url = "https://calendar.example.org/private-123/basic.ics"
    body = {"team": str(cast.team.pk), "name": "Fed", "layers": [layer(calendar_url=url)]}
    made = cast.api("manager").post("/api/v1/schedules", body).json()
    assert made["layers"][0]["calendar_url"] == url
    seen = cast.api("observer").get(f"/api/v1/schedules/{made['id']}").json()
    assert seen["layers"][0]["calendar_url"] == "https://calendar.example.org/"


def test_an_override_may_replace_one_person(cast, clock):
    schedule = ScheduleFactory(team=cast.team)
    LayerFactory(schedule=schedule, participants=[[cast.manager, cast.observer]])
    body = {
        "schedule": str(schedule.pk),
        "user": str(cast.responder.pk),
        "replaces": str(cast.observer.pk),
        "starts_at": "2026-03-02T12:00:00Z",
        "ends_at": "2026-03-02T13:00:00Z",
    }
    assert cast.api("responder").post("/api/v1/schedule-overrides", body).status_code == 201
    now = cast.api("observer").get(f"/api/v1/schedules/{schedule.pk}/on-call").json()
    assert [person["name"] for person in now["people"]] == ["Mara Manager", "Rui Responder"]
    assert now["source"] == "override"


# Lists


LISTS = {
    "/api/v1/users": lambda cast: MembershipFactory(team=cast.team),
    "/api/v1/teams": lambda cast: TeamFactory(observers=[cast.observer]),
    "/api/v1/memberships": lambda cast: MembershipFactory(team=cast.team),
    "/api/v1/services": lambda cast: ServiceFactory(team=cast.team),
    "/api/v1/schedules": lambda cast: ScheduleFactory(team=cast.team, on_call=[cast.manager, UserFactory()]),
    "/api/v1/schedule-overrides": lambda cast: OverrideFactory(
        schedule=ScheduleFactory(team=cast.team), created_by=UserFactory()
    ),
    "/api/v1/on-call": lambda cast: ScheduleFactory(team=cast.team, on_call=[cast.manager, UserFactory()]),
}


@pytest.mark.parametrize("path", LISTS)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path):
    LISTS[path](cast)
    rows, queries = count_queries(cast.api("observer"), path)
    LISTS[path](cast)
    LISTS[path](cast)
    assert count_queries(cast.api("observer"), path) == (rows + 2, queries)
    assert cast.api("nobody").get(path).status_code == 401


def test_lists_are_filtered_searched_and_ordered(cast):
    for name in ("Checkout", "Refunds", "Cards"):
        ServiceFactory(team=cast.team, name=name)
    ServiceFactory(team=cast.other_team, name="Crawler")
    cast.manager.is_superuser = True

    def names(query):
        response = cast.api("manager").get(f"/api/v1/services?{query}")
        return [service["name"] for service in response.json()["results"]]

    assert names("") == ["Cards", "Checkout", "Crawler", "Refunds"]
    assert names(f"team={cast.team.pk}&ordering=-name") == ["Refunds", "Checkout", "Cards"]
    assert names("search=C&ordering=created_at") == ["Checkout", "Cards", "Crawler"]
    assert names(f"team={uuid7()}") == []


def test_overrides_are_found_by_time(cast):
    schedule = ScheduleFactory(team=cast.team)
    for day in (1, 2, 3):
        OverrideFactory(schedule=schedule, user=cast.manager, starts_at=datetime(2026, 3, day, tzinfo=UTC))
    query = "ends_after=2026-03-02T00:00:00Z&starts_before=2026-03-03T00:00:00Z"
    results = cast.api("observer").get(f"/api/v1/schedule-overrides?{query}").json()["results"]
    assert [override["starts_at"] for override in results] == ["2026-03-02T00:00:00Z"]


def test_a_service_is_not_removed_from_under_its_maintenance(cast):
    """A window without the last of its services would be about all of the team's."""
    service = ServiceFactory(team=cast.team)
    window = service.maintenance_windows.create(
        team=cast.team,
        title="Upgrade",
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(hours=1),
    )
    path = f"/api/v1/services/{service.pk}"
    response = cast.api("manager").delete(path)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "in_use")
    window.delete()
    assert cast.api("manager").delete(path).status_code == 204
