"""Pages on which schedules are made, and those about shifts."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from openalert.tests.pages import Pages
from teams import coverage
from teams.models import CalendarFeed, HandOverNote, Layer, Override, Schedule, ShiftSwap
from teams.tests.cast import Cast
from teams.tests.factories import (
    CalendarFactory,
    CalendarFeedFactory,
    HandOverNoteFactory,
    LayerFactory,
    OverrideFactory,
    ScheduleFactory,
    ShiftSwapFactory,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def pages(clock):
    return Pages(Cast())


@pytest.fixture
def cast(pages):
    return pages.cast


@pytest.fixture
def schedule(cast):
    return ScheduleFactory(
        team=cast.team, name="First line", time_zone="Europe/Berlin", on_call=[cast.responder, cast.manager]
    )


def layer_form(people=(), windows=(), **given):
    rows = {
        "name": "Nights",
        "rotation": "weekly",
        "turn_length": 1,
        "starts_at": "2026-03-02T12:00",
        "on_holidays": "same",
        "places-TOTAL_FORMS": len(people),
        "places-INITIAL_FORMS": 0,
        "windows-TOTAL_FORMS": len(windows),
        "windows-INITIAL_FORMS": 0,
    }
    for number, (place, user) in enumerate(people):
        rows |= {f"places-{number}-place": place or "", f"places-{number}-user": user.pk if user else ""}
    for number, window in enumerate(windows):
        rows |= {f"windows-{number}-{name}": value for name, value in window.items()}
    return {**rows, **given}


def test_managers_make_schedules(pages, cast):
    path = reverse("schedule-new")
    assert pages.statuses("get", path) == pages.answers(200, 403, 403, 200)
    given = {"team": cast.team.pk, "name": "Second line", "time_zone": "Asia/Tokyo"}
    response = pages.client("manager").post(path, given)
    made = Schedule.objects.get()
    assert (response["Location"], made.name) == (reverse("layer-new", args=[made.pk]), "Second line")
    again = pages.client("manager").post(path, {**given, "name": "SECOND line"})
    assert (again.status_code, list(again.context["form"].errors)) == (422, ["name"])
    assert pages.client("outsider").post(path, given).status_code == 422  # not their team


def test_managers_edit_schedules(pages, cast, schedule):
    path = reverse("schedule-edit", args=[schedule.pk])
    assert pages.statuses("get", path) == pages.answers(200, 403, 403, 404)
    given = {"name": "Day and night", "time_zone": "UTC", "fallback": cast.manager.pk}
    assert pages.client("manager").post(path, given).status_code == 302
    schedule.refresh_from_db()
    assert (schedule.name, schedule.time_zone, schedule.fallback) == ("Day and night", "UTC", cast.manager)
    wrong = pages.client("manager").post(path, {**given, "fallback": cast.observer.pk})
    assert list(wrong.context["form"].errors) == ["fallback"]
    assert "Mara Manager is: the fallback" in pages.text("observer", reverse("schedule", args=[schedule.pk]))


def test_managers_put_layers_on_top(pages, cast, schedule):
    path = reverse("layer-new", args=[schedule.pk])
    assert pages.statuses("get", path) == pages.answers(200, 403, 403, 404)
    people = [(2, cast.responder), (1, cast.manager), (2, cast.manager), (None, None)]
    windows = [
        {"opens": "17:00", "days": "weekdays", "closes": "09:00", "until": ""},
        {"opens": "17:00", "days": "5", "closes": "09:00", "until": "1"},
        {"opens": "", "days": "every", "closes": "", "until": ""},
    ]
    given = layer_form(people, windows, hand_over_day="1", hand_over_time="09:00", holidays_of="DE")
    response = pages.client("manager").post(path, {**given, "on_holidays": "on"}, follow=True)
    layer = Layer.objects.get(name="Nights")
    assert layer.places == [(cast.manager,), (cast.responder, cast.manager)]
    assert layer.restrictions == [
        {"from": "17:00", "to": "09:00", "days": [1, 2, 3, 4, 5]},
        {"from": "17:00", "to": "09:00", "from_day": 5, "to_day": 1},
    ]
    assert (layer.position, layer.starts_at) == (1, datetime(2026, 3, 2, 12, tzinfo=UTC))
    text = response.text
    assert "Mara Manager and Rui Responder with Mara Manager take turns of 1 week" in text
    assert "Mondays to Fridays 17:00 – 09:00 the day after" in text
    assert "From Fridays 17:00 until Mondays 09:00" in text
    assert "Also on public holidays of DE" in text


@pytest.mark.parametrize(
    ("change", "part", "field"),
    [
        ({"turn_length": 0}, "layer", "turn_length"),
        ({"hand_over_day": 8}, "layer", "hand_over_day"),
        ({"ends_at": "2026-03-01T09:00"}, "layer", "ends_at"),
        ({"holidays_of": "Narnia"}, "layer", "holidays_of"),
        ({"on_holidays": "off"}, "layer", "holidays_of"),
        ({"calendar_url": "javascript:alert(1)"}, "layer", "calendar_url"),
        ({"windows-0-closes": ""}, "windows", "__all__"),
        ({"windows-0-until": "1"}, "windows", "days"),
        ({"places-0-place": -1}, "places", "place"),
    ],
)
def test_faulty_layers_are_told_by_field(pages, cast, schedule, change, part, field):
    window = {"opens": "17:00", "days": "every", "closes": "09:00", "until": ""}
    given = layer_form([(1, cast.manager)], [window], **change)
    response = pages.client("manager").post(reverse("layer-new", args=[schedule.pk]), given)
    assert response.status_code == 422
    forms = response.context["forms"]
    found = forms.layer.errors if part == "layer" else getattr(forms, part).errors[0]
    assert list(found) == [field]
    assert Layer.objects.count() == 1


def test_a_layer_comes_back_as_it_was_filled_in(pages, cast, schedule, clock):
    layer = schedule.layers.get()
    layer.restrictions = [{"from": "09:00", "to": "17:00", "days": [1, 3]}, {"from": "00:00", "to": "00:00"}]
    layer.save()
    path = reverse("layer", args=[layer.pk])
    assert pages.statuses("get", path) == pages.answers(200, 403, 403, 404)
    forms = pages.client("manager").get(path).context["forms"]
    assert [row["user"] for row in forms.places.initial] == [cast.responder.pk, cast.manager.pk]
    assert [row["days"] for row in forms.windows.initial] == ["1", "3", "every"]
    clock.advance(hours=1)
    weeks = (datetime(2026, 3, 2, tzinfo=UTC) - datetime(2025, 1, 6, tzinfo=UTC)).days // 7
    on_now = [cast.responder, cast.manager][weeks % 2]
    third = [(1, cast.responder), (2, cast.manager), (3, cast.responder)]
    given = layer_form(third, starts_at="2025-01-06T09:00", keep_turn="on")
    pages.client("manager").post(path, given)
    changed = schedule.layers.get(replaced_at=None)
    assert (changed.identity, changed.places[0]) == (layer.pk, (on_now,))
    gone = pages.client("manager").post(path, given)
    assert gone.status_code == 404


def test_layers_are_raised_and_removed(pages, cast, schedule):
    layer = schedule.layers.get()
    LayerFactory(schedule=schedule, name="Upper", participants=[cast.manager])
    for name in ("layer-raise", "layer-remove"):
        path = reverse(name, args=[layer.pk])
        assert pages.statuses("get", path) == pages.answers(405, 405, 405, 405)
        assert pages.statuses("post", path) == pages.answers(302, 403, 403, 404)
    response = pages.client("manager").post(reverse("layer-raise", args=[layer.pk]), headers=HTMX)
    assert (response.status_code, '"schedule-changed"' in response["HX-Trigger"]) == (204, True)
    order = schedule.layers.filter(replaced_at=None).order_by("position")
    assert list(order.values_list("name", flat=True)) == ["Upper", "Rotation"]


def test_what_will_go_wrong_is_said_when_saving_and_shown(pages, cast, schedule):
    LayerFactory(schedule=schedule, participants=[cast.manager, cast.observer], name="Upper")
    path = reverse("layer", args=[schedule.layers.get(name="Upper").pk])
    people = [(1, cast.manager), (2, cast.observer)]
    response = pages.client("manager").post(path, layer_form(people), follow=True)
    assert "is no responder of the team" in response.text
    assert "Needs a look" in pages.text("observer", reverse("schedule", args=[schedule.pk]))
    board = pages.text("observer", reverse("on-call"))
    assert "2 things to look at" in board and "Ona Observer takes part" in board


# A week and a month


@pytest.mark.parametrize(
    ("query", "title", "days"),
    [
        ("", "Week of 2 March 2026", 7),
        ("?view=month", "March 2026", 31),
        ("?view=month&date=2028-02-29", "February 2028", 29),
        ("?date=2026-03-29", "Week of 23 March 2026", 7),
        ("?view=decade&date=soon", "Week of 2 March 2026", 7),
        ("?date=2026-99-99", "Week of 2 March 2026", 7),
        ("?date=9999-12-31", "Week of 30 November 2099", 7),
    ],
)
def test_a_schedule_as_a_calendar(pages, schedule, query, title, days):
    path = reverse("schedule-calendar", args=[schedule.pk]) + query
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    response = pages.client("observer").get(path)
    assert f"<h1>{title}</h1>" in response.text
    shown = response.context["timeline"]
    assert len(shown.days) == days
    assert [lane.name for lane in shown.layers] == ["Rotation"]
    assert sum(bar.width for bar in shown.final.bars) == pytest.approx(100, abs=0.1)


def test_the_bars_are_where_the_shifts_are(pages, cast, schedule):
    LayerFactory(
        schedule=schedule,
        name="Days",
        participants=[cast.manager],
        restrictions=[{"from": "06:00", "to": "18:00"}],
    )
    cast.observer.time_zone = "Europe/Berlin"
    cast.observer.save()
    path = reverse("schedule-calendar", args=[schedule.pk]) + "?date=2026-03-24"  # 23 hours on its Sunday
    shown = pages.client("observer").get(path).context["timeline"]
    hours = 7 * 24 - 1
    days = shown.layers[0]
    assert [round(bar.x * hours / 100, 1) for bar in days.bars] == [6, 30, 54, 78, 102, 126, 149]
    assert [lane.name for lane in shown.layers] == ["Days", "Rotation"]
    assert [len(day.shifts) >= 1 for day in shown.days] == [True] * 7


def test_a_calendar_takes_the_same_queries_however_much_is_in_it(pages, cast, schedule):
    path = reverse("schedule-calendar", args=[schedule.pk])
    OverrideFactory(schedule=schedule)
    one = pages.count_queries("observer", path)
    OverrideFactory.create_batch(3, schedule=schedule)
    LayerFactory.create_batch(2, schedule=schedule, participants=[cast.manager])
    assert pages.count_queries("observer", path) == one


# One's own shifts, swaps, notes, feeds


def test_my_shifts(pages, cast, schedule):
    path = reverse("my-shifts")
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 200)
    assert "First line" in pages.text("responder", path) and "Ask for a swap" in pages.text("responder", path)
    assert "You are not on call" in pages.text("observer", path)


def test_my_shifts_take_the_same_queries_however_many(pages, cast, schedule):
    path = reverse("my-shifts")

    def add():
        other = ScheduleFactory(team=cast.team, on_call=[cast.responder])
        ShiftSwapFactory(schedule=other, asker=cast.manager, asked=cast.responder)
        ShiftSwapFactory(schedule=other, asker=cast.responder, asked=cast.manager)
        CalendarFeedFactory(user=cast.responder, schedule=other)

    add()
    one = pages.count_queries("responder", path)
    add()
    add()
    assert pages.count_queries("responder", path) == one


def test_a_swap_from_asking_to_accepting(pages, cast, schedule, clock):
    who = next(
        s.users[0] for s in coverage.oncall.shifts(schedule, clock.now, clock.now + timedelta(hours=1))
    )
    asker, taker = ("responder", "manager") if who == cast.responder else ("manager", "responder")
    path = reverse("swap-new", args=[schedule.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 403, 404)
    assert 'value="2026-03-02T12:01"' in pages.text(asker, f"{path}?starts_at=2026-03-01T09:00:00Z")
    given = {"starts_at": "2026-03-03T09:00", "ends_at": "2026-03-03T17:00", "asked": ""}
    wrong = pages.client(taker).post(path, given)
    assert (wrong.status_code, list(wrong.context["form"].errors)) == (422, ["starts_at"])
    assert pages.client(asker).post(path, given)["Location"] == reverse("my-shifts")
    swap = ShiftSwap.objects.get()
    assert "Accept" in pages.text(taker, reverse("my-shifts"))
    assert "Withdraw" in pages.text(asker, reverse("my-shifts"))
    accept = reverse("swap-accept", args=[swap.pk])
    assert pages.statuses("post", accept) == pages.answers(302, 302, 403, 404) | {asker: 403}
    assert pages.client(taker).post(accept, headers=HTMX).status_code == 204
    assert Override.objects.get().replaces == who
    for name in ("swap-decline", "swap-withdraw"):
        assert pages.statuses("get", reverse(name, args=[swap.pk])) == pages.answers(405, 405, 405, 405)


def test_notes_at_the_hand_over(pages, cast, schedule):
    path = reverse("note-new", args=[schedule.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 403, 404)
    assert pages.statuses("post", path, {"text": "Watch <db-2>."}) == pages.answers(302, 302, 403, 404)
    assert pages.client("responder").post(path, {"text": ""}).status_code == 422
    client = pages.client("responder")
    assert next(t.name for t in client.get(path, headers=HTMX).templates) == "teams/_note_add.html"
    client.post(path, {"text": "Watch <db-2>."})
    for shown in (reverse("schedule", args=[schedule.pk]), reverse("on-call")):
        assert "Watch &lt;db-2&gt;." in pages.text("observer", shown)
    note = HandOverNote.objects.get()
    assert pages.statuses("post", reverse("note-remove", args=[note.pk])) == pages.answers(302, 302, 403, 404)


def test_a_calendar_address_is_shown_once_and_made_void(pages, cast, schedule):
    path = reverse("feed-new")
    given = {"schedule": schedule.pk}
    assert pages.statuses("post", path, given) == pages.answers(200, 200, 200, 404)
    assert pages.client("observer").post(path, {"schedule": "x"}).status_code == 404
    response = pages.client("observer").post(path, given)
    assert response["Cache-Control"].startswith("max-age=0")
    address = response.context["address"]
    assert address.startswith("http://localhost/calendar/")
    assert pages.client("nobody").get(address.removeprefix("http://localhost")).status_code == 200
    feed = CalendarFeed.objects.get()
    assert "First line" in pages.text("observer", reverse("my-shifts"))
    revoke = reverse("feed-revoke", args=[feed.pk])
    assert pages.statuses("post", revoke) == pages.answers(404, 404, 302, 404)


def test_names_are_escaped_everywhere(pages, cast, schedule):
    cast.responder.name = cast.manager.name = "<script>alert(1)</script>"
    cast.responder.save()
    cast.manager.save()
    HandOverNoteFactory(schedule=schedule, author=cast.manager)
    LayerFactory(schedule=schedule, calendar=CalendarFactory(schedule=schedule), name="<b>fed</b>")
    ShiftSwapFactory(schedule=schedule, asker=cast.manager, note="<i>")
    pk = [schedule.pk]
    paths = [reverse(name, args=pk) for name in ("schedule", "schedule-calendar", "layer-new", "swap-new")]
    for path in (*paths, reverse("my-shifts"), reverse("on-call")):
        text = pages.text("manager", path)
        assert "<script>alert" not in text and "<b>fed" not in text and "<i>" not in text
