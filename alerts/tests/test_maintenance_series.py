"""Maintenance that comes again: when, and that its windows are made once, ahead, and can be left out alone."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts import maintenance, maintenance_announcements, maintenance_series
from alerts.enums import Repeats
from alerts.exceptions import LongerThanItsInterval, NeverComes, NotTheTeamsServices, WindowEndsBeforeStart
from alerts.models import MaintenanceSeries, MaintenanceWindow
from alerts.recurrence import occurrences
from alerts.tests.factories import MaintenanceWindowFactory
from incidents.models import LiveEvent
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db
PATH = "/api/v1/maintenance-series"
BERLIN = ZoneInfo("Europe/Berlin")


def instant(*parts, zone=BERLIN):
    return datetime(*parts, tzinfo=zone)


def comes(repeats, first, *, days, until=None, zone=BERLIN):
    found = occurrences(repeats, first, zone, until=until, after=first, before=first + timedelta(days=days))
    return [f"{at.astimezone(zone):%a %d %b %H:%M}" for at in found]


def test_the_clock_says_the_same_across_its_changes():
    assert comes(Repeats.WEEKLY, instant(2026, 3, 22, 2, 30), days=15) == [
        "Sun 22 Mar 02:30",
        "Sun 29 Mar 03:30",  # 02:30 was not
        "Sun 05 Apr 02:30",
    ]
    assert comes(Repeats.DAILY, instant(2026, 10, 24, 2, 30), days=3) == [
        "Sat 24 Oct 02:30",
        "Sun 25 Oct 02:30",  # the first of the two
        "Mon 26 Oct 02:30",
    ]


@pytest.mark.parametrize(
    ("repeats", "first", "days", "expected"),
    [
        (
            Repeats.WEEKDAYS,
            (2026, 3, 6),
            5,
            ["Fri 06 Mar 22:00", "Mon 09 Mar 22:00", "Tue 10 Mar 22:00"],
        ),
        (Repeats.BIWEEKLY, (2026, 3, 3), 30, ["Tue 03 Mar 22:00", "Tue 17 Mar 22:00", "Tue 31 Mar 22:00"]),
        (
            Repeats.MONTHLY_DATE,
            (2027, 12, 31),
            100,
            ["Fri 31 Dec 22:00", "Mon 31 Jan 22:00", "Tue 29 Feb 22:00", "Fri 31 Mar 22:00"],
        ),
        (
            Repeats.MONTHLY_WEEKDAY,
            (2026, 3, 10),
            70,
            ["Tue 10 Mar 22:00", "Tue 14 Apr 22:00", "Tue 12 May 22:00"],
        ),
        (
            Repeats.MONTHLY_WEEKDAY,
            (2026, 3, 31),
            70,
            ["Tue 31 Mar 22:00", "Tue 28 Apr 22:00", "Tue 26 May 22:00"],
        ),
    ],
)
def test_how_often_it_comes(repeats, first, days, expected):
    assert comes(repeats, instant(*first, 22), days=days) == expected


def test_it_comes_for_the_last_time_on_its_last_day():
    assert comes(Repeats.DAILY, instant(2026, 3, 3, 22), days=9, until=date(2026, 3, 4)) == [
        "Tue 03 Mar 22:00",
        "Wed 04 Mar 22:00",
    ]


@pytest.fixture
def cast(clock):
    cast = Cast()
    cast.clock = clock
    cast.service = ServiceFactory(team=cast.team)
    return cast


def series(cast, *, begins=timedelta(hours=1), lasts=timedelta(hours=1), **given):
    starts_at = cast.clock.now + begins
    wanted = {
        "team": cast.team,
        "title": "Backup",
        "repeats": Repeats.WEEKLY,
        "time_zone": "UTC",
        "starts_at": starts_at,
        "ends_at": starts_at + lasts,
        "by": cast.responder,
    }
    return maintenance_series.add_series(**{**wanted, **given})


def starts(one):
    return list(one.windows.order_by("starts_at").values_list("starts_at", flat=True))


def test_windows_are_made_ahead_once_each(cast):
    one = series(cast, services=[cast.service])
    first = cast.clock.now + timedelta(hours=1)
    weeks = [first + timedelta(weeks=n) for n in range(5)]
    assert starts(one) == weeks
    assert [list(window.services.all()) for window in one.windows.all()] == [[cast.service]] * 5
    assert maintenance_series.plan() == 0
    cast.clock.advance(days=8)
    assert maintenance_series.plan() == 2
    assert starts(one) == [first + timedelta(weeks=n) for n in range(7)]


def test_one_that_has_begun_is_made_too(cast):
    one = series(cast, begins=timedelta(days=-7, minutes=-30))
    assert starts(one)[0] == cast.clock.now - timedelta(minutes=30)


def test_a_cancelled_one_does_not_come_back_and_a_moved_one_stays_where_it_is(cast):
    one = series(cast)
    first, second, *_ = one.windows.order_by("starts_at")
    maintenance.cancel_window(first.pk)
    moved = second.starts_at + timedelta(hours=2)
    maintenance.change_window(second.pk, starts_at=moved, ends_at=moved + timedelta(hours=1))
    assert maintenance_series.plan() == 0
    assert starts(one)[0] == moved
    assert len(starts(one)) == 4


def test_a_change_makes_what_is_to_come_anew_and_leaves_what_has_begun(cast):
    one = series(cast, begins=timedelta(minutes=-10))
    running = one.windows.order_by("starts_at").first()
    maintenance_series.change_series(
        one.pk,
        title="Longer",
        repeats=Repeats.DAILY,
        time_zone="UTC",
        starts_at=one.starts_at + timedelta(days=1),
        ends_at=one.starts_at + timedelta(days=1, hours=2),
        until=None,
        services=[],
    )
    one.refresh_from_db()
    windows = one.windows.order_by("starts_at")
    assert (windows[0].pk, windows[0].title) == (running.pk, "Backup")
    assert {(window.title, window.ends_at - window.starts_at) for window in windows[1:]} == {
        ("Longer", timedelta(hours=2))
    }
    assert len(windows) == 1 + 35
    maintenance_series.end_series(one.pk)
    assert list(MaintenanceWindow.objects.values_list("pk", flat=True)) == [running.pk]
    assert not MaintenanceSeries.objects.exists()


def test_what_cannot_be(cast):
    with pytest.raises(WindowEndsBeforeStart):
        series(cast, lasts=timedelta(0))
    with pytest.raises(LongerThanItsInterval):
        series(cast, repeats=Repeats.DAILY, lasts=timedelta(hours=24))
    with pytest.raises(NeverComes):
        series(cast, until=(cast.clock.now - timedelta(days=1)).date())
    with pytest.raises(NotTheTeamsServices):
        series(cast, services=[ServiceFactory()])
    assert not MaintenanceWindow.objects.exists()


# The API


def body(cast, **given):
    return {
        "team": str(cast.team.pk),
        "title": "Backup",
        "repeats": "weekly",
        "time_zone": "Europe/Berlin",
        "starts_at": (cast.clock.now + timedelta(hours=1)).isoformat(),
        "ends_at": (cast.clock.now + timedelta(hours=2)).isoformat(),
        **given,
    }


def test_series_are_seen_by_members_and_written_by_responders(cast):
    path = f"{PATH}/{series(cast).pk}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"title": "Other"}) == answers(200, 200, 403, 404)
    assert cast.statuses("delete", path) == answers(204, 204, 403, 404)
    assert cast.statuses("post", PATH, body(cast)) == answers(201, 201, 403, 400)


def test_a_series_is_made_changed_and_ended(cast):
    api = cast.api("responder")
    made = api.post(PATH, body(cast, services=[str(cast.service.pk)])).json()
    one = MaintenanceSeries.objects.get(pk=made["id"])
    assert (made["services"], len(starts(one))) == ([str(cast.service.pk)], 5)
    windows = api.get(f"/api/v1/maintenance-windows?team={cast.team.pk}").json()["results"]
    assert {window["series"] for window in windows} == {made["id"]}
    changed = api.patch(f"{PATH}/{made['id']}", {"repeats": "biweekly"}).json()
    assert (changed["repeats"], changed["ends_at"]) == ("biweekly", made["ends_at"])
    assert len(starts(one)) == 3
    response = api.patch(f"{PATH}/{made['id']}", {"until": "2020-01-01"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "never_comes")
    assert api.delete(f"{PATH}/{made['id']}").status_code == 204
    assert not MaintenanceWindow.objects.exists()


# Open pages are told


def told():
    found = LiveEvent.objects.order_by("pk").values_list("kind", "team_id", "data")
    return [(kind, team, data["title"]) for kind, team, data in found]


def test_a_beginning_and_an_end_are_told_once(cast):
    now = cast.clock.now
    MaintenanceWindowFactory(team=cast.team, title="begun", starts_at=now, ends_at=now + timedelta(hours=1))
    MaintenanceWindowFactory(
        team=cast.team, title="over", starts_at=now - timedelta(hours=2), ends_at=now, is_start_told=True
    )
    MaintenanceWindowFactory(team=cast.team, title="later", starts_at=now + timedelta(hours=1))
    assert maintenance_announcements.announce() == 2
    assert told() == [
        ("maintenance.began", cast.team.pk, "begun"),
        ("maintenance.ended", cast.team.pk, "over"),
    ]
    assert maintenance_announcements.announce() == 0


def test_a_plan_is_told_once_for_a_team(cast):
    series(cast, repeats=Repeats.DAILY)
    assert told() == [("maintenance.changed", cast.team.pk, "Backup")]
