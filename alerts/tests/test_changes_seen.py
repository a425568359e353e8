"""Where changes are seen: on their service's page, on an incident's, and in the API."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from alerts.models import Change
from alerts.tests.factories import ChangeFactory, IntegrationFactory
from incidents.enums import Status
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory

NOW = datetime(2026, 7, 17, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    cast.integration = IntegrationFactory(service=cast.service, name="CI")
    return cast


@pytest.fixture
def pages(cast) -> Pages:
    return Pages(cast)


def test_changes_are_seen_on_their_services_page_by_the_team(cast, pages):
    ChangeFactory(integration=cast.integration, summary="<b>Deployed</b>", source="ci-1")
    ChangeFactory(integration__service__team=cast.team, summary="Another service's")
    path = f"/services/{cast.service.pk}/changes/"
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    text = pages.text("observer", path)
    assert "&lt;b&gt;Deployed&lt;/b&gt;" in text and "Another service" not in text
    assert path in pages.text("observer", f"/services/{cast.service.pk}/")


def test_changes_before_an_incident_and_until_its_end_are_seen_on_its_page(cast, pages):
    opened = timezone.now() - timedelta(hours=3)
    incident = IncidentFactory(
        service=cast.service,
        opened_at=opened,
        status=Status.RESOLVED,
        resolved_at=opened + timedelta(hours=1),
    )

    def made(summary, **ago):
        ChangeFactory(integration=cast.integration, summary=summary, at=opened - timedelta(**ago))

    made("Too early", hours=24, seconds=1)
    made("A day before", hours=24)
    made("Just before", minutes=5)
    made("The repair", minutes=-59)
    made("After it", minutes=-61)
    ChangeFactory(integration__service__team=cast.team, summary="Elsewhere", at=opened)

    path = f"/incidents/{incident.number}/changes/"
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    response = pages.client("observer").get(path)
    assert [(row.change.summary, row.when) for row in response.context["changes"]] == [
        ("Just before", "5 min before it opened"),
        ("A day before", "24 h before it opened"),
        ("The repair", "59 min after it opened"),
    ]
    assert f'<a href="/services/{cast.service.pk}/">Recent changes of Checkout</a>' in response.text
    assert path in pages.text("observer", f"/incidents/{incident.number}/")


def test_an_incident_that_goes_on_shows_what_is_done_meanwhile(cast, pages):
    incident = IncidentFactory(service=cast.service, opened_at=timezone.now() - timedelta(days=2))
    ChangeFactory(integration=cast.integration, summary="Rolled back")
    assert "Rolled back" in pages.text("responder", f"/incidents/{incident.number}/changes/")


def test_nothing_is_shown_where_there_are_no_changes(cast, pages):
    incident = IncidentFactory(service=cast.service)
    for path in (f"/services/{cast.service.pk}/changes/", f"/incidents/{incident.number}/changes/"):
        section = pages.text("observer", path).partition(">")[0]
        assert " hidden " in section


def test_a_change_is_shown_with_its_links_and_some_details(cast, pages):
    ChangeFactory(
        integration=cast.integration,
        links=[{"href": "https://ci.example.com/2", "text": "Build"}]
        + [{"href": f"https://git.example.com/{n}", "text": ""} for n in range(9)],
        custom_details={"nested": {"a": 1}} | {f"detail {n}": n for n in range(20)},
    )
    response = pages.client("observer").get(f"/services/{cast.service.pk}/changes/")
    assert '<a href="https://ci.example.com/2" rel="noreferrer noopener nofollow"' in response.text
    [row] = response.context["changes"]
    assert row.details == {f"detail {n}": str(n) for n in range(8)}
    assert row.links == [
        ("Build", "https://ci.example.com/2"),
        *(("git.example.com", f"https://git.example.com/{n}") for n in range(4)),
    ]


def test_the_newest_changes_are_shown_and_that_there_are_more(cast, pages):
    incident = IncidentFactory(service=cast.service)
    for path, most in (
        (f"/services/{cast.service.pk}/changes/", 10),
        (f"/incidents/{incident.number}/changes/", 5),
    ):
        Change.objects.all().delete()
        opened = incident.opened_at
        newest = [
            ChangeFactory(integration=cast.integration, at=opened - timedelta(minutes=minutes))
            for minutes in range(most)
        ]
        words = f"{most} are shown"
        assert words not in pages.text("observer", path)
        ChangeFactory(integration=cast.integration, at=opened - timedelta(hours=1))
        response = pages.client("observer").get(path)
        assert [row.change for row in response.context["changes"]] == newest
        assert words in response.text


def test_pages_take_as_many_queries_for_three_changes_as_for_one(cast, pages):
    incident = IncidentFactory(service=cast.service)
    paths = (f"/services/{cast.service.pk}/changes/", f"/incidents/{incident.number}/changes/")
    ChangeFactory(integration=cast.integration)
    one = [pages.count_queries("observer", path) for path in paths]
    ChangeFactory.create_batch(2, integration__service=cast.service)
    assert [pages.count_queries("observer", path) for path in paths] == one


def test_changes_are_seen_by_members_and_written_by_nobody_here(cast):
    path = f"/api/v1/changes/{ChangeFactory(integration=cast.integration).pk}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    for method in ("patch", "delete"):
        assert cast.statuses(method, path) == answers(405, 405, 405, 405)
    assert cast.statuses("post", "/api/v1/changes", {}) == answers(405, 405, 405, 405)


def test_a_change_in_the_api(cast):
    made = ChangeFactory(
        integration=cast.integration,
        source="ci-1",
        at=NOW,
        links=[
            {"href": "https://ci.example.com/2", "text": "Build"},
            {"href": "https://a.example/x y", "text": ""},
        ],
        custom_details={"build": 2, "stages": ["test"]},
    )
    assert cast.api("observer").get(f"/api/v1/changes/{made.pk}").json() == {
        "id": str(made.pk),
        "summary": made.summary,
        "source": "ci-1",
        "at": "2026-07-17T12:00:00Z",
        "integration": {"id": str(cast.integration.pk), "name": "CI"},
        "service": {"id": str(cast.service.pk), "name": "Checkout"},
        "team": {"id": str(cast.team.pk), "name": "Payments"},
        "links": made.links,
        "custom_details": made.custom_details,
        "created_at": made.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_changes_are_filtered_searched_and_paged(cast):
    for hours, summary in enumerate(("Deployed A", "Deployed B", "Migrated")):
        ChangeFactory(integration=cast.integration, summary=summary, at=NOW + timedelta(hours=hours))
    other = ChangeFactory(
        integration__service__team=cast.team, summary="Elsewhere", at=NOW - timedelta(hours=1)
    )
    ChangeFactory(integration__service__team=cast.other_team, summary="Hidden", at=NOW)

    def summaries(**query):
        seen = cast.api("observer").get("/api/v1/changes", query).json()["results"]
        return [change["summary"] for change in seen]

    assert summaries() == ["Migrated", "Deployed B", "Deployed A", "Elsewhere"]
    assert summaries(service=cast.service.pk) == ["Migrated", "Deployed B", "Deployed A"]
    assert summaries(integration=other.integration.pk) == ["Elsewhere"]
    assert summaries(team=cast.other_team.pk) == []
    assert summaries(since="2026-07-17T12:00:00Z", until="2026-07-17T14:00:00Z") == [
        "Deployed B",
        "Deployed A",
    ]
    assert summaries(search="deployed", ordering="at") == ["Deployed A", "Deployed B"]
    first = cast.api("observer").get("/api/v1/changes", {"page_size": 3}).json()
    assert [row["summary"] for row in cast.api("observer").get(first["next"]).json()["results"]] == [
        "Elsewhere"
    ]


def test_the_list_takes_as_many_queries_for_three_rows_as_for_one(cast):
    def add():
        ChangeFactory(integration__service__team=cast.team)

    add()
    one = count_queries(cast.api("observer"), "/api/v1/changes")
    add()
    add()
    assert (one[0], count_queries(cast.api("observer"), "/api/v1/changes")) == (1, (3, one[1]))
    assert cast.api("nobody").get("/api/v1/changes").status_code == 401
