"""Merging through the API and the pages."""

import pytest
from django.urls import reverse

from incidents import merging
from incidents.enums import Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert.tests.pages import Pages
from teams.tests.cast import Cast, answers
from teams.tests.factories import MembershipFactory, ServiceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def pages():
    return Pages(Cast())


@pytest.fixture
def cast(pages):
    return pages.cast


@pytest.fixture
def service(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


@pytest.fixture
def source(service):
    return IncidentFactory(service=service, title="Checkout is slow")


@pytest.fixture
def target(service):
    return IncidentFactory(service=service, title="Disk full on db1")


@pytest.fixture
def theirs(cast):
    """An incident that the responder sees and may not act on."""
    MembershipFactory(team=cast.other_team, user=cast.responder, role="observer")
    return IncidentFactory(service__team=cast.other_team, title="Theirs")


def api(incident):
    return f"/api/v1/incidents/{incident.pk}/merge"


def page(incident):
    return reverse("incident-merge", args=[incident.number])


# The API


def test_api_who_merges(cast, source, target):
    assert cast.statuses("post", api(source), {"into": str(target.pk)}) == answers(200, 200, 403, 404)


def test_api_answers_with_where_it_goes_on(cast, source, target):
    body = {"into": str(target.pk)}
    answer = cast.api("responder").post(api(source), body).json()
    assert (answer["id"], answer["status"], answer["merged_into"]) == (
        str(source.pk),
        "resolved",
        {"id": str(target.pk), "number": target.number},
    )
    assert cast.api("responder").post(api(source), body).json() == answer
    found = cast.api("observer").get(f"/api/v1/incidents?merged_into={target.pk}").json()
    assert [row["id"] for row in found["results"]] == [str(source.pk)]
    entry = cast.api("observer").get(f"/api/v1/incidents/{target.pk}/timeline").json()["results"][0]
    assert (entry["sentence"], entry["data"]) == (
        f"Rui Responder merged #{source.number} into it",
        {"numbers": [source.number]},
    )


def test_api_refuses_by_name(cast, source, target, theirs):
    over = IncidentFactory(service=source.service, status=Status.RESOLVED)
    hidden = IncidentFactory()
    answered = {}
    for name, into in [("self", source), ("over", over), ("theirs", theirs), ("hidden", hidden)]:
        response = cast.api("responder").post(api(source), {"into": str(into.pk)})
        (error,) = response.json()["errors"]
        answered[name] = (response.status_code, error["code"], error["field"])
    assert answered == {
        "self": (400, "merged_into_itself", "into"),
        "over": (409, "incident_is_over", None),
        "theirs": (403, "permission_denied", None),
        "hidden": (400, "does_not_exist", "into"),
    }
    cast.api("responder").post(api(source), {"into": str(target.pk)})
    response = cast.api("responder").post(f"/api/v1/incidents/{source.pk}/reopen")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "incident_merged")


# The pages


def test_page_who_is_asked_and_who_merges(pages, source, target):
    assert pages.statuses("get", page(source)) == pages.answers(200, 200, 403, 404)
    posted = {"into": target.number}
    assert pages.statuses("post", page(source), posted) == pages.answers(302, 302, 403, 404)


def test_page_offers_what_may_be_merged_into(pages, source, target, theirs):
    IncidentFactory(service=source.service, status=Status.RESOLVED)
    newer = IncidentFactory(service__team=pages.cast.team, title="Queue is long")
    client = pages.client("responder")
    assert client.get(page(source)).context["offered"] == [target, newer]
    assert client.get(page(source), {"q": "disk"}).context["offered"] == [target]
    assert client.get(page(source), {"q": f"#{newer.number}"}).context["offered"] == [newer]
    dialog = client.get(page(source), headers=HTMX).text
    assert ("<html" in dialog, f'value="{target.number}"' in dialog) == (False, True)


@pytest.mark.parametrize("typed", ["into", "q"])
def test_page_merges_what_is_chosen_or_typed(pages, source, target, typed):
    posted = {"into": target.number} if typed == "into" else {"q": f" #{target.number}"}
    answer = pages.client("responder").post(page(source), posted, headers=HTMX)
    assert answer.status_code == 204
    assert f"#{source.number} merged into #{target.number}" in answer.headers["HX-Trigger"]
    source.refresh_from_db()
    assert source.merged_into == target


@pytest.mark.parametrize("posted", [{}, {"q": "disk"}, {"into": "x"}, {"q": "9" * 100}, {"into": "9" * 30}])
def test_page_asks_again(pages, source, target, posted):
    for headers in (HTMX, {}):
        answer = pages.client("responder").post(page(source), posted, headers=headers)
        assert (answer.status_code, "banner" in answer.text) == (422, True)
    assert not Incident.objects.filter(status=Status.RESOLVED).exists()


def test_page_finds_no_incident_that_is_not_seen(pages, source):
    hidden = IncidentFactory(title="Secret plans")
    answer = pages.client("responder").post(page(source), {"into": hidden.number})
    assert (answer.status_code, f"There is no incident {hidden.number}." in answer.text) == (422, True)


def test_page_says_why_not(pages, source, theirs):
    answer = pages.client("responder").post(page(source), {"into": theirs.number}, headers=HTMX)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "permission_denied")
    itself = pages.client("responder").post(page(source), {"into": source.number}, follow=True)
    assert "cannot be merged into itself" in itself.text


def test_both_pages_and_the_lists_tell_of_it(pages, source, target):
    before = pages.count_queries("observer", reverse("incidents") + "?state=all")
    merging.merge(source_ids=[source.pk], target_id=target.pk, actor=SYSTEM)
    over = pages.text("responder", source.get_absolute_url())
    assert f'merged into <a href="{target.get_absolute_url()}">#{target.number}</a>' in over
    assert "Reopen" not in over
    assert f"Show #{target.number}" in over
    goes_on = pages.text("responder", target.get_absolute_url())
    assert "Merged into it" in goes_on
    assert source.title in goes_on
    for path in (
        reverse("incidents") + "?state=all",
        reverse("service-incidents", args=[source.service_id]),
    ):
        assert f"merged into #{target.number}" in pages.text("observer", path)
    assert pages.count_queries("observer", reverse("incidents") + "?state=all") == before


def test_what_was_merged_is_listed_as_far_as_it_is_seen(pages, target):
    path = reverse("incident-merged", args=[target.number])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    assert " hidden" in pages.text("observer", path)
    seen, secret = IncidentFactory(service=target.service), IncidentFactory(title="Secret plans")
    merging.merge(source_ids=[seen.pk, secret.pk], target_id=target.pk, actor=SYSTEM)
    text = pages.text("observer", path)
    assert (" hidden" in text, seen.title in text, "Secret plans" in text) == (False, True, False)
    one = pages.count_queries("observer", path)
    more = IncidentFactory.create_batch(2, service=target.service)
    merging.merge(source_ids=[incident.pk for incident in more], target_id=target.pk, actor=SYSTEM)
    assert pages.count_queries("observer", path) == one
