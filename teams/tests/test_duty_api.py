"""Swaps, notes, feeds and the look ahead through the API."""

from datetime import timedelta

import pytest
from django.test import Client

from teams.models import CalendarFeed, Override
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import (
    CalendarFeedFactory,
    HandOverNoteFactory,
    ScheduleFactory,
    ShiftSwapFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
SWAPS, NOTES, FEEDS = "/api/v1/shift-swaps", "/api/v1/hand-over-notes", "/api/v1/calendar-feeds"


@pytest.fixture
def cast(clock):
    return Cast()


@pytest.fixture
def schedule(cast):
    """The responder's week."""
    return ScheduleFactory(team=cast.team, name="First line", on_call=[cast.manager, cast.responder][::-1])


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


def body(schedule, **given):
    return {
        "schedule": str(schedule.pk),
        "starts_at": "2026-03-03T09:00:00Z",
        "ends_at": "2026-03-03T17:00:00Z",
        **given,
    }


def who_has_the_week(cast, schedule):
    [person] = cast.api("observer").get(f"/api/v1/schedules/{schedule.pk}/on-call").json()["people"]
    return "responder" if person["id"] == str(cast.responder.pk) else "manager"


def test_a_swap_is_asked_for_and_accepted(cast, schedule):
    asker = who_has_the_week(cast, schedule)
    taker = "manager" if asker == "responder" else "responder"
    swap = cast.api(asker).post(SWAPS, body(schedule, asked=str(getattr(cast, taker).pk))).json()
    assert (swap["status"], swap["expires_at"]) == ("asked", "2026-03-03T09:00:00Z")
    path = f"{SWAPS}/{swap['id']}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.api("observer").post(f"{path}/accept").status_code == 403
    assert cast.api("outsider").post(f"{path}/accept").status_code == 404
    assert cast.api("nobody").post(f"{path}/accept").status_code == 401
    answered = cast.api(taker).post(f"{path}/accept").json()
    assert (answered["status"], answered["answered_by"]["id"]) == ("accepted", str(getattr(cast, taker).pk))
    assert Override.objects.get().user == getattr(cast, taker)
    assert errors(cast.api(asker).post(f"{path}/withdraw")) == [("swap_is_over", None)]


def test_who_may_ask_decline_and_withdraw(cast, schedule):
    asker = who_has_the_week(cast, schedule)
    other = "manager" if asker == "responder" else "responder"
    wanted = {"manager": 409, "responder": 409, "observer": 400, "outsider": 400, asker: 201, "nobody": 401}
    assert cast.statuses("post", SWAPS, body(schedule)) == wanted
    swap = ShiftSwapFactory(schedule=schedule, asker=getattr(cast, asker), asked=getattr(cast, other))
    wanted = {"manager": 403, "responder": 403, "observer": 403, "outsider": 404, "nobody": 401}
    assert cast.statuses("post", f"{SWAPS}/{swap.pk}/decline") == wanted | {other: 200}
    assert cast.statuses("post", f"{SWAPS}/{swap.pk}/withdraw") == wanted | {asker: 200}
    assert errors(cast.api(asker).post(SWAPS, body(schedule, ends_at="2026-03-03T08:00:00Z"))) == [
        ("ends_before_start", "ends_at")
    ]


def test_notes_are_written_by_responders_and_removed_by_authors_and_managers(cast, schedule):
    given = {"schedule": str(schedule.pk), "text": "Watch db-2."}
    assert cast.statuses("post", NOTES, given) == answers(201, 201, 403, 400)
    note = HandOverNoteFactory(schedule=schedule, author=cast.responder)
    path = f"{NOTES}/{note.pk}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("delete", path) == answers(204, 204, 403, 404)
    note.author = cast.manager
    note.save()
    assert cast.statuses("delete", path) == answers(204, 403, 403, 404)


def test_feeds_are_ones_own_and_their_address_is_told_once(cast, schedule):
    assert cast.statuses("post", FEEDS, {"schedule": str(schedule.pk)}) == answers(201, 201, 201, 400)
    assert cast.statuses("post", FEEDS, {}) == answers(201, 201, 201, 201)
    made = cast.api("observer").post(FEEDS, {"schedule": str(schedule.pk)}).json()
    path = made["url"].removeprefix("http://localhost")
    assert Client().get(path).status_code == 200
    shown = cast.api("observer").get(f"{FEEDS}/{made['id']}").json()
    assert (shown["url"], shown["schedule"]) == (None, str(schedule.pk))
    assert cast.statuses("get", f"{FEEDS}/{made['id']}") == answers(404, 404, 200, 404)
    assert cast.api("observer").delete(f"{FEEDS}/{made['id']}").status_code == 204
    assert (CalendarFeed.objects.count(), Client().get(path).status_code) == (0, 404)


def test_ones_own_shifts(cast, schedule):
    path = "/api/v1/me/shifts"
    assert cast.statuses("get", path) == answers(200, 200, 200, 200)
    mine = cast.api("responder").get(f"{path}?from=2026-03-02T12:00:00Z&to=2026-03-30T12:00:00Z").json()
    assert {(own["schedule"]["name"], own["shift"]["users"][0]["name"]) for own in mine} == {
        ("First line", "Rui Responder")
    }
    assert cast.api("observer").get(path).json() == []
    assert errors(cast.api("observer").get(f"{path}?from=soon")) == [("invalid", "from")]


def test_what_will_go_wrong(cast, schedule, clock):
    schedule.layers.update(ends_at=clock.now + timedelta(days=29))
    for path in (f"/api/v1/schedules/{schedule.pk}/coverage", "/api/v1/coverage"):
        [gap] = cast.api("observer").get(path).json()
        assert (gap["code"], gap["schedule"]["name"], gap["starts_at"]) == (
            "gap",
            "First line",
            "2026-03-31T12:00:00Z",
        )
    assert cast.statuses("get", f"/api/v1/schedules/{schedule.pk}/coverage") == SEEN_BY_MEMBERS
    assert cast.api("outsider").get("/api/v1/coverage").json() == []
    assert cast.api("observer").get(f"/api/v1/coverage?team={cast.other_team.pk}").json() == []


@pytest.mark.parametrize(
    ("path", "make"),
    [
        (SWAPS, lambda cast: ShiftSwapFactory(schedule=ScheduleFactory(team=cast.team), asked=UserFactory())),
        (NOTES, lambda cast: HandOverNoteFactory(schedule=ScheduleFactory(team=cast.team))),
        (
            FEEDS,
            lambda cast: CalendarFeedFactory(user=cast.observer, schedule=ScheduleFactory(team=cast.team)),
        ),
    ],
)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path, make):
    make(cast)
    rows, queries = count_queries(cast.api("observer"), path)
    make(cast)
    make(cast)
    assert count_queries(cast.api("observer"), path) == (rows + 2, queries)
    assert cast.api("nobody").get(path).status_code == 401


def test_swaps_are_found_by_status_and_people(cast, schedule):
    swap = ShiftSwapFactory(schedule=schedule, asker=cast.responder)
    ShiftSwapFactory(schedule=schedule, asker=cast.manager, status="expired")

    def found(query):
        return [one["id"] for one in cast.api("observer").get(f"{SWAPS}?{query}").json()["results"]]

    assert found("status=asked") == found(f"asker={cast.responder.pk}") == [str(swap.pk)]
    assert len(found("status=asked&status=expired")) == 2
