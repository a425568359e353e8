"""Pages of services, on-call and schedules, played by the cast."""

from datetime import timedelta

import pytest
from django import forms
from django.urls import reverse
from django.utils import timezone
from pytest_django.asserts import assertHTMLEqual

from openalert.tests.pages import Pages
from teams.forms import ZoneSelect
from teams.models import Override
from teams.tests.cast import Cast
from teams.tests.factories import PASSWORD, OverrideFactory, ScheduleFactory, ServiceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
ON_CALL = "/on-call/"


@pytest.fixture
def pages() -> Pages:
    return Pages(Cast())


@pytest.fixture
def cast(pages):
    return pages.cast


@pytest.fixture
def schedule(clock, cast):
    return ScheduleFactory(
        team=cast.team, name="First line", time_zone="Europe/Berlin", on_call=[cast.responder, cast.manager]
    )


@pytest.fixture
def new(schedule):
    return reverse("override-new", args=[schedule.pk])


def given(user, starts="2026-03-03T09:00", ends="2026-03-03T17:00"):
    return {"user": user.pk, "starts_at": starts, "ends_at": ends}


def test_a_service_is_shown_to_its_team(pages, cast):
    service = ServiceFactory(team=cast.team, name="Checkout", description="<b>Takes</b> orders")
    path = reverse("service", args=[service.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    text = pages.text("observer", path)
    assert "&lt;b&gt;Takes" in text
    for fragment in ("service-incidents", "service-integrations", "service-escalation"):
        assert reverse(fragment, args=[service.pk]) in text
    assert "Open an incident" not in text
    assert "Open an incident" in pages.text("responder", path)


def test_on_call_shows_the_schedules_of_ones_own_teams(pages, schedule):
    assert pages.statuses("get", ON_CALL) == pages.answers(200, 200, 200, 200)
    text = pages.text("observer", ON_CALL)
    assert "First line" in text and "Rui Responder" in text and "until" in text
    assert "Then Mara Manager" in text
    assert "First line" not in pages.text("outsider", ON_CALL)
    assert "No schedule yet" in pages.text("outsider", ON_CALL)


def test_on_call_tells_people_about_their_own_shifts(pages, schedule):
    assert "You are on call for" in pages.text("responder", ON_CALL)
    assert "Your next shift" in pages.text("manager", ON_CALL)
    assert "You are on call for" not in pages.text("observer", ON_CALL)


def test_on_call_warns_of_gaps(pages, cast):
    ScheduleFactory(team=cast.team)
    assert "Nobody is on call" in pages.text("observer", ON_CALL)


def test_on_call_takes_the_same_queries_however_many_schedules(pages, cast, schedule):
    one = pages.count_queries("observer", ON_CALL)
    for _ in range(2):
        OverrideFactory(schedule=ScheduleFactory(team=cast.team, on_call=[cast.manager, cast.responder]))
    assert pages.count_queries("observer", ON_CALL) == one


def test_times_are_on_the_viewers_clock_and_the_schedules(pages, cast, schedule):
    cast.observer.time_zone = "America/New_York"
    cast.observer.save()
    path = reverse("schedule", args=[schedule.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    text = pages.text("observer", path)
    assert "Mon 9 Mar, 05:00" in text  # 09:00 UTC; New York has put its clocks forward
    assert "Mon 9 Mar, 10:00" in text
    assert "handing over on Mondays at 10:00" in text


def test_a_schedule_takes_the_same_queries_however_many_overrides(pages, schedule):
    path = reverse("schedule", args=[schedule.pk])
    OverrideFactory(schedule=schedule)
    one = pages.count_queries("observer", path)
    OverrideFactory.create_batch(2, schedule=schedule)
    assert pages.count_queries("observer", path) == one


def test_names_are_escaped(pages, cast, schedule):
    cast.responder.name = "<script>alert(1)</script>"
    cast.responder.save()
    for path in (ON_CALL, reverse("schedule", args=[schedule.pk])):
        assert "<script>alert" not in pages.text("observer", path)


def test_responders_add_overrides(pages, cast, new):
    assert pages.statuses("get", new) == pages.answers(200, 200, 403, 404)
    assert pages.statuses("post", new, given(cast.manager)) == pages.answers(302, 302, 403, 404)


def test_the_times_of_an_override_are_on_ones_own_clock(pages, cast, schedule, new):
    cast.responder.time_zone = "America/New_York"
    cast.responder.save()
    form = pages.text("responder", new)
    assert "Your time, America/New_York. The schedule’s is Europe/Berlin." in form
    pages.client("responder").post(new, given(cast.responder))
    override = Override.objects.get()
    assert override.starts_at.isoformat() == "2026-03-03T14:00:00+00:00"
    assert (override.user, override.created_by) == (cast.responder, cast.responder)


def test_i_take_this_shift_fills_in_the_form(pages, cast, schedule, new):
    path = f"{new}?starts_at=2026-03-09T09:00:00%2B00:00&ends_at=2026-03-16T09:00:00%2B00:00"
    text = pages.text("manager", path)
    assert 'value="2026-03-09T09:00"' in text and 'value="2026-03-16T09:00"' in text
    assert 'value="2026-03-09T17:00"' in pages.text("manager", path.partition("&")[0])
    assert 'value="2026-03-02T12:00"' in pages.text(
        "manager", f"{new}?starts_at=soon&ends_at=2026-99-99T00:00Z"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ends_at": "2026-03-03T08:00"}, "ends_at"),
        ({"starts_at": "2026-02-01T08:00", "ends_at": "2026-02-01T09:00"}, "ends_at"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"user": ""}, "user"),
    ],
)
def test_faulty_overrides_are_told_by_field(pages, cast, new, change, field):
    response = pages.client("responder").post(new, {**given(cast.manager), **change})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert not Override.objects.exists()


def test_shifts_are_offered_to_those_who_may_be_on_call(pages, schedule):
    path = reverse("schedule", args=[schedule.pk])
    offers = {who: pages.text(who, path).count(">I take it<") for who in ("manager", "responder", "observer")}
    assert offers == {"manager": 2, "responder": 1, "observer": 0}  # one's own shifts need not be taken


def test_only_people_who_may_respond_can_be_chosen(pages, cast, new):
    for user in (cast.observer, cast.outsider):
        response = pages.client("manager").post(new, given(user))
        assert list(response.context["form"].errors) == ["user"]


def test_with_htmx_an_override_is_added_in_a_dialog(pages, cast, new):
    client = pages.client("responder")
    assert next(t.name for t in client.get(new, headers=HTMX).templates) == "teams/_override_add.html"
    faulty = client.post(new, given(cast.manager, ends="2026-03-01T00:00"), headers=HTMX)
    assert (faulty.status_code, next(t.name for t in faulty.templates)) == (422, "teams/_override_add.html")
    good = client.post(new, given(cast.manager), headers=HTMX)
    assert good.status_code == 204
    assert '"schedule-changed"' in good["HX-Trigger"] and '"close-dialog"' in good["HX-Trigger"]


def test_responders_take_overrides_back(pages, schedule):
    override = OverrideFactory(schedule=schedule, starts_at=timezone.now() + timedelta(hours=1))
    path = reverse("override-remove", args=[override.pk])
    assert pages.statuses("get", path) == pages.answers(405, 405, 405, 405)
    assert pages.statuses("post", path) == pages.answers(302, 302, 403, 404)
    refused = pages.client("observer").post(path, headers=HTMX)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "permission_denied")
    assert pages.client("responder").post(path, headers=HTMX).status_code == 204
    assert not Override.objects.exists()


def test_an_override_that_is_over_is_not_taken_back(pages, schedule, clock):
    override = OverrideFactory(schedule=schedule)
    clock.advance(hours=2)
    path = reverse("override-remove", args=[override.pk])
    response = pages.client("responder").post(path, follow=True)
    assert "This override is over" in response.text
    assert Override.objects.count() == 1


def test_people_change_their_profile(pages, cast):
    path = reverse("profile")
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 200)
    values = {"name": "Rui", "job_title": "SRE", "phone": "+15005550006", "time_zone": "Asia/Kolkata"}
    response = pages.client("responder").post(
        path, {**values, "email": "other@example.org", "is_staff": "on"}
    )
    assert (response.status_code, response["Location"]) == (302, reverse("me"))
    before = cast.responder.email
    cast.responder.refresh_from_db()
    assert {name: getattr(cast.responder, name) for name in values} == values
    assert (cast.responder.email, cast.responder.is_staff) == (before, False)


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("phone", "0500 5550006"), ("time_zone", "Mars/Olympus")]
)
def test_a_faulty_profile_is_not_saved(pages, field, value):
    values = {"name": "Rui", "phone": "", "time_zone": "UTC", field: value}
    response = pages.client("responder").post(reverse("profile"), values)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert response.context["user"].name == "Rui Responder"


def test_people_change_their_password_and_stay_signed_in(pages, cast):
    path = reverse("password")
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 200)
    new = "another lamp, farther out"
    client = pages.client("responder")
    wrong = client.post(path, {"old_password": "?", "new_password1": new, "new_password2": new})
    assert list(wrong.context["form"].errors) == ["old_password"]
    right = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post(path, right)["Location"] == reverse("me")
    cast.responder.refresh_from_db()
    assert cast.responder.check_password(new)
    assert client.get(reverse("me")).status_code == 200


@pytest.mark.parametrize("value", ["Europe/Berlin", None, "", "Mars/Base"])
def test_time_zones_are_written_as_django_writes_choices(value):
    choices = [("", "The team’s, <b>"), ("Europe/Berlin", "Europe/Berlin"), ("Asia/Tokyo", "Asia/Tokyo")]
    ours, its = (
        widget(choices=choices, attrs={"class": "wide"}).render(
            "zone", value, {"id": "id_zone", "required": True}
        )
        for widget in (ZoneSelect, forms.Select)
    )
    assertHTMLEqual(ours, its)
