"""The guide from an empty installation to an answered page: without scripts, and on a phone in a real browser."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Alert, Integration
from escalations.models import EscalationPolicy, EscalationRun, PagingSettings
from incidents.enums import Status
from incidents.models import Incident
from openalert import demo
from openalert.first_steps.progress import NAMES, TEST_KEY, Progress
from teams import oncall
from teams.models import Membership, Override, Schedule, Service, Team, User
from teams.tests.factories import UserFactory

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def admin(client):
    """An administrator of an empty installation, who is signed in."""
    admin = UserFactory(name="Ana Ruiz", is_superuser=True, is_staff=True, time_zone="Europe/Berlin")
    client.force_login(admin)
    return admin


def post(client: Client, step: str, **given: object):
    return client.post(f"/first-steps/{step}/", given)


def done() -> list[str]:
    return [name for name in NAMES if Progress().done[name]]


def team_of(client: Client) -> Team:
    post(client, "team", name="Payments", time_zone="Europe/Berlin", is_member="on")
    return Team.objects.get()


@pytest.mark.django_db
def test_guide_is_where_an_administrator_lands_until_it_is_put_away(client, admin):
    assert client.get("/").url == "/first-steps/"
    assert "First steps" in client.get("/incidents/").text  # in the menu
    for path in ("/services/", "/on-call/", "/incidents/", "/reports/"):
        assert 'href="/first-steps/"' in client.get(path).text.split("<main", 1)[1], path
    assert client.post("/first-steps/put-away/").url == "/incidents/"
    assert client.get("/").url == "/incidents/"
    assert "Show it after signing in" in client.get("/first-steps/").text
    client.post("/first-steps/put-away/", {"back": "1"})
    assert client.get("/").url == "/first-steps/"
    other = Client()
    assert other.get("/").url == "/accounts/login/"
    other.force_login(UserFactory())
    assert other.get("/").url == "/incidents/"
    assert other.get("/first-steps/").status_code == 403
    assert "/first-steps/" not in other.get("/incidents/").text
    assert client.get("/first-steps/nothing/").status_code == 404


@pytest.mark.django_db
def test_demo_has_taken_all_steps(client):
    demo.seed()
    assert done() == list(NAMES)
    client.force_login(User.objects.get(email=demo.CARLA.email))
    assert client.get("/").url == "/incidents/"
    for name in NAMES:
        assert client.get(f"/first-steps/{name}/").status_code == 200
    before = EscalationPolicy.objects.values_list("pk", "name")
    assert post(client, "policy", name="Mine").status_code in (200, 422)
    assert list(EscalationPolicy.objects.values_list("pk", "name")) == list(before)


@pytest.mark.django_db
def test_steps_are_taken_without_scripts_and_faulty_forms_keep_what_was_typed(client, admin):
    # What comes later waits, and says for what.
    assert "This comes after" in client.get("/first-steps/schedule/").text
    assert post(client, "service", name="Checkout").status_code == 200
    assert not Service.objects.exists()

    assert post(client, "team", name="", time_zone="Mars/Olympus").status_code == 422
    team = team_of(client)
    assert (team.time_zone, done()) == ("Europe/Berlin", ["team"])
    assert Membership.objects.get().role == "manager"
    post(client, "team", name="Payments and cards", time_zone="Europe/Paris")
    assert Team.objects.get().name == "Payments and cards"

    faulty = post(client, "people", name="Bo Chen", email="bo", phone="0151", role="responder")
    assert faulty.status_code == 422 and 'value="Bo Chen"' in faulty.text and 'value="0151"' in faulty.text
    bo = {"name": "Bo Chen", "email": "bo@example.org", "role": "responder"}
    assert "too short" in post(client, "people", **bo, password="short").text
    assert post(client, "people", **bo, password="a fairly long one").url == "/first-steps/people/"
    assert "in the team already" in post(client, "people", **bo).text
    UserFactory(email="carla@example.org", name="Carla Haas")
    post(client, "people", name="Carla", email="Carla@example.org", role="observer")
    assert set(Membership.objects.values_list("user__name", "role")) == {
        ("Ana Ruiz", "manager"),
        ("Bo Chen", "responder"),
        ("Carla Haas", "observer"),
    }
    assert Client().login(username="bo@example.org", password="a fairly long one")
    assert done() == ["team", "people"]

    bo = User.objects.get(email="bo@example.org")
    turns = {f"turn_{bo.pk}": "1", f"turn_{admin.pk}": "2"}
    rotation = {
        "name": "First line",
        "hand_over_day": 1,
        "hand_over_time": "09:00",
        "time_zone": "Europe/Berlin",
    }
    assert "at least one person" in post(client, "schedule", **rotation).text
    assert post(client, "schedule", **{**rotation, "hand_over_time": "25:00"}, **turns).status_code == 422
    assert post(client, "schedule", **rotation, **turns).url == "/first-steps/policy/"
    assert oncall.on_call(Schedule.objects.get(), timezone.now()) == [bo]
    # Changed: whoever is on call stays so, and there is still one.
    post(client, "schedule", **{**rotation, "hand_over_day": 3}, **turns)
    assert oncall.on_call(Schedule.objects.get(), timezone.now()) == [bo]

    targets = {"first": f"schedule:{Schedule.objects.get().pk}", "then": f"user:{admin.pk}"}
    policy = {"name": "Payments", "minutes": 5, "repeat_count": 1}
    assert post(client, "policy", **{**policy, "minutes": 0}, **targets).status_code == 422
    assert post(client, "policy", **policy, **targets).url == "/first-steps/service/"
    assert PagingSettings.objects.get().default_policy == EscalationPolicy.objects.get()
    assert [step.delay_seconds for step in EscalationPolicy.objects.get().steps.all()] == [300, 300]
    post(client, "policy", **{**policy, "minutes": 7}, **targets)
    assert [step.delay_seconds for step in EscalationPolicy.objects.get().steps.all()] == [420, 420]

    assert post(client, "service", name="Checkout").url == "/first-steps/integration/"
    assert done() == ["team", "people", "schedule", "policy", "service"]
    shown = post(client, "integration", name="Probes", source="openalert")
    [key] = set(re.findall(r"Bearer ([0-9a-f]{32})", shown.text))
    assert Integration.objects.get().key_hash == Integration.hash_key(key)
    again = client.get("/first-steps/integration/").text
    assert key not in again and "Waiting for the first event" in again
    assert post(client, "integration", name="Another", source="openalert").status_code == 200
    assert Integration.objects.count() == 1


@pytest.mark.django_db
def test_test_page_takes_the_way_of_any_alert_and_a_second_click_changes_nothing(client, admin):
    team = team_of(client)
    post(client, "service", name="Checkout")
    post(client, "integration", name="Probes", source="openalert")
    assert "no policy is in charge" in post(client, "test").text  # and nothing was opened
    assert not Incident.objects.exists()
    bo = UserFactory(name="Bo Chen")
    Membership.objects.create(team=team, user=bo)
    rotation = {"name": "First line", "hand_over_day": 1, "hand_over_time": "09:00", "time_zone": "UTC"}
    post(client, "schedule", **rotation, **{f"turn_{bo.pk}": "1"})
    schedule = Schedule.objects.get()
    post(client, "policy", name="P", minutes=5, repeat_count=0, first=f"schedule:{schedule.pk}")
    assert "Put me on call for an hour first" in client.get("/first-steps/test/").text

    assert post(client, "test", takes_over="1").url == "/first-steps/test/"
    assert Override.objects.get().user == admin
    assert post(client, "test", takes_over="1").status_code == 302
    incident = Incident.objects.get()
    assert EscalationRun.objects.get().incident == incident
    assert (Alert.objects.get().dedup_key, Alert.objects.get().count) == (TEST_KEY, 1)
    assert "integration" not in done()  # nothing came from outside
    state = client.get("/first-steps/test/state/").text
    assert "Acknowledge" in state and "every 2s" in state
    client.post(f"/incidents/{incident.number}/acknowledge/", {"next": "/first-steps/test/"})
    assert "Ana Ruiz acknowledged it" in client.get("/first-steps/test/state/").text
    post(client, "test")
    assert sorted(Incident.objects.values_list("status", flat=True)) == [Status.OPEN, Status.RESOLVED]
