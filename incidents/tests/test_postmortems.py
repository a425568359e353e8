"""Postmortems and action items: what is written is not lost, and who may write."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import action_items, postmortems, roles
from incidents.enums import ActionItemState, Kind, PostmortemState, Status
from incidents.exceptions import PostmortemChanged, PostmortemPublished
from incidents.markdown import as_document
from incidents.models import ActionItem, Postmortem, ResponseSettings
from incidents.timeline import Actor, sentence
from openalert.tests.pages import Pages
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory

from .factories import IncidentFactory, TimelineEntryFactory

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


@pytest.fixture
def cast():
    return Cast()


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def incident(cast):
    opened = timezone.now() - timedelta(minutes=125)
    return IncidentFactory(
        service=ServiceFactory(team=cast.team, name="Checkout"),
        title="Disk full",
        status=Status.RESOLVED,
        opened_at=opened,
        summary="Logs were not rotated.",
    )


@pytest.fixture
def ana(cast):
    return Actor.person(cast.responder, via="web")


@pytest.fixture
def bo(cast):
    return Actor.person(cast.manager, via="web")


def save(incident, body, version, actor):
    return postmortems.save(incident_id=incident.pk, body=body, base_version=version, actor=actor)


def test_it_begins_with_the_teams_template(incident, cast, ana):
    ResponseSettings.objects.create(
        team=cast.team, postmortem_template="# {title} {number}\n{duration} of {service}: {summary} {other}"
    )
    for _ in range(2):
        postmortem = postmortems.start(incident_id=incident.pk, actor=ana)
    assert postmortem.body == (
        f"# Disk full #{incident.number}\n2 h 5 min of Checkout: Logs were not rotated. {{other}}"
    )
    assert [entry.kind for entry in incident.timeline.all()] == [Kind.POSTMORTEM_STARTED]


def test_two_editors_do_not_write_over_each_other(incident, ana, bo):
    postmortems.start(incident_id=incident.pk, actor=ana)
    assert save(incident, "Ana’s", 1, ana).version == 2
    with pytest.raises(PostmortemChanged) as failure:
        save(incident, "Bo’s", 1, bo)
    assert failure.value.version == 2 and "Rui Responder" in failure.value.detail
    assert save(incident, "Ana’s", 1, ana).version == 2  # its answer was lost
    assert save(incident, "Bo’s", 2, bo).version == 3
    kept = Postmortem.objects.get().revisions.order_by("version").values_list("body", flat=True)
    assert list(kept)[1:] == ["Ana’s", "Bo’s"]


def test_a_row_of_saves_is_one_revision_but_what_was_cut_away_stays(clock, incident, ana):
    postmortems.start(incident_id=incident.pk, actor=ana)
    long = "x" * 1000
    for version, body in enumerate([long, long + "y", "short", "short and"], 1):
        save(incident, body, version, ana)
    clock.advance(minutes=6)
    save(incident, "short and later", 5, ana)
    revisions = Postmortem.objects.get().revisions.order_by("version")
    assert [revision.body for revision in revisions][1:] == [long + "y", "short and", "short and later"]
    assert [revision.version for revision in revisions] == [1, 3, 5, 6]


def test_what_is_published_does_not_change(incident, ana):
    postmortems.start(incident_id=incident.pk, actor=ana)
    for state in (PostmortemState.IN_REVIEW, PostmortemState.PUBLISHED, PostmortemState.PUBLISHED):
        postmortems.move(incident_id=incident.pk, state=state, actor=ana)
    with pytest.raises(PostmortemPublished):
        save(incident, "New", 1, ana)
    assert Postmortem.objects.get().published_at
    postmortems.move(incident_id=incident.pk, state=PostmortemState.DRAFT, actor=ana)
    save(incident, "New", 1, ana)
    assert [sentence(entry) for entry in incident.timeline.all()][1:] == [
        "Rui Responder moved the postmortem to in review",
        "Rui Responder moved the postmortem to published",
        "Rui Responder moved the postmortem to draft",
    ]


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ("# Timeline\n\n# Cause\nDNS", "# Timeline\n\n- x\n\n# Cause\nDNS"),
        ("## timeline\n\n- old\n\n# Cause", "## timeline\n\n- old\n- x\n\n# Cause"),
        ("Text", "Text\n\n# Timeline\n\n- x\n"),
    ],
)
def test_entries_stand_below_their_heading(body, after):
    assert postmortems.with_timeline(body, "- x") == after


def test_chosen_entries_are_imported_with_the_text_as_it_is(pages, incident, cast, ana):
    postmortems.start(incident_id=incident.pk, actor=ana)
    wanted = TimelineEntryFactory(incident=incident, data={"text": "It was **DNS**."}, actor_name="Ana")
    TimelineEntryFactory(incident=incident, data={"text": "Lunch."})
    foreign = TimelineEntryFactory(data={"text": "Secret."})
    path = reverse("postmortem-import", args=[incident.number])
    assert "wrote a note" in pages.text("responder", path)
    given = {"body": "Typed.\n\n# Timeline\n", "version": "1", "entry": [wanted.pk]}
    assert pages.client("responder").post(path, given).status_code == 302
    body = Postmortem.objects.get().body
    assert (
        "Ana wrote a note\n  > It was **DNS**." in body and body.startswith("Typed.") and "Lunch" not in body
    )
    given = {"body": body, "version": "2", "entry": [foreign.pk]}
    pages.client("responder").post(path, given)
    assert "Secret" not in Postmortem.objects.get().body
    conflict = pages.client("manager").post(path, {"body": "Bo types", "version": "1", "entry": [wanted.pk]})
    assert conflict.status_code == 409 and "Bo types" in conflict.text


def test_a_document_has_chapters_but_runs_nothing():
    html = as_document("# A\n\n<script>alert(1)</script>\n\n![x](https://evil.example/p.png)")
    assert html.startswith("<h2>A</h2>")
    assert "<script" not in html and "<img" not in html


def test_who_may_read_and_write(pages, incident, ana):
    page = reverse("postmortem", args=[incident.number])
    start = reverse("postmortem-start", args=[incident.number])
    assert "Start it" in pages.text("responder", page) and "Start it" not in pages.text("observer", page)
    assert pages.statuses("post", start) == pages.answers(302, 302, 403, 404)
    postmortems.start(incident_id=incident.pk, actor=ana)
    for name in ("postmortem", "postmortem-history", "postmortem-export"):
        path = reverse(name, args=[incident.number])
        assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404), name
    given = {"body": "New", "version": "1"}
    save_path = reverse("postmortem-save", args=[incident.number])
    assert pages.statuses("post", save_path, given) == pages.answers(302, 302, 403, 404)
    state = reverse("postmortem-state", args=[incident.number])
    assert pages.statuses("post", state, {"state": "published"}) == pages.answers(302, 302, 403, 404)
    assert "<textarea" in pages.text("responder", page) and "<textarea" not in pages.text("observer", page)


def test_the_editor_is_told_of_a_conflict_with_the_other_text(pages, incident, ana, bo):
    postmortems.start(incident_id=incident.pk, actor=ana)
    path = reverse("postmortem-save", args=[incident.number])
    client = pages.client("manager")
    assert client.post(path, {"body": "A", "version": "1"}, headers=JSON).json() == {"version": 2}
    answer = client.post(path, {"body": "B", "version": "1"}, headers=JSON)
    told = answer.json()
    assert (answer.status_code, told["code"], told["version"], told["body"]) == (
        409,
        "postmortem_changed",
        2,
        "A",
    )
    # Without JavaScript the page comes back with both.
    answer = client.post(path, {"body": "B", "version": "1"})
    assert answer.status_code == 409 and ">\nB</textarea>" in answer.text


def test_it_is_exported_with_facts_and_action_items(pages, incident, cast, ana):
    postmortems.start(incident_id=incident.pk, actor=ana)
    save(incident, "# Cause\n\nDNS.", 1, ana)
    item = action_items.add_item(
        incident_id=incident.pk,
        text="Rotate logs",
        assignee=cast.manager,
        due_on=date(2026, 12, 1),
        actor=ana,
    )
    document = pages.text("observer", reverse("postmortem-export", args=[incident.number]))
    assert document.startswith(f"# Postmortem of #{incident.number}: Disk full\n")
    assert "# Cause\n\nDNS.\n" in document
    assert "- [ ] Rotate logs (open, Mara Manager, due 1 Dec 2026)" in document
    assert item.state == ActionItemState.OPEN


def test_action_items_of_all_incidents_are_listed(pages, cast, incident, ana):
    add = reverse("action-item-new", args=[incident.number])
    assert pages.statuses("post", add, {"text": "Rotate logs"}) == pages.answers(302, 302, 403, 404)
    headers = {"Idempotency-Key": "0b9c1a52-4f37-4a0e-8d59-7b1c7a4a3f10"}
    given = {"text": "Rotate logs", "due_on": "2020-01-01", "assignee": str(cast.observer.pk)}
    for _ in range(2):
        pages.client("responder").post(add, given, headers=headers)
    item = ActionItem.objects.get()
    path = reverse("action-items")
    assert "overdue since 1 Jan 2020" in pages.text("observer", path + "?mine=1&state=late")
    assert "Rotate logs" not in pages.text("outsider", path)
    change = reverse("action-item", args=[item.pk])
    done = {"text": "Rotate logs", "state": "done"}
    assert pages.statuses("post", change, done) == pages.answers(302, 302, 403, 404)
    pages.client("manager").post(change, done)
    assert "Rotate logs" not in pages.text("observer", path)
    assert "Rotate logs" in pages.text("observer", path + "?state=done")
    item.refresh_from_db()
    assert item.ended_at and item.assignee is None


def test_a_teams_managers_change_its_roles_and_template(pages, cast, incident):
    path = reverse("response-settings", args=[cast.team.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    given = {"roles": "Captain: decides", "postmortem_template": ""}
    assert pages.statuses("post", path, given) == pages.answers(302, 403, 403, 404)
    assert pages.client("manager").post(path, {"roles": "x" * 61}).status_code == 422
    pages.client("manager").post(path, given)
    assert [held.role for held in roles.roles_of(incident)] == ["Captain"]


def test_the_api_serves_postmortems_and_action_items(cast, incident):
    path = f"/api/v1/incidents/{incident.pk}/postmortem"
    assert cast.api("manager").get(path).status_code == 404
    assert cast.statuses("post", path) == answers(200, 200, 403, 404)
    cast.api("responder").post(path)
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("put", path, {"body": "A", "version": 1}) == answers(200, 200, 403, 404)
    cast.api("responder").put(path, {"body": "A", "version": 1})
    stale = cast.api("manager").put(path, {"body": "B", "version": 1})
    assert (stale.status_code, stale.json()["errors"][0]["code"]) == (409, "postmortem_changed")
    assert cast.statuses("patch", path, {"state": "published"}) == answers(200, 200, 403, 404)
    items = "/api/v1/action-items"
    body = {"incident": str(incident.pk), "text": "Rotate logs", "assignee": str(cast.observer.pk)}
    assert cast.statuses("post", items, body) == answers(201, 201, 403, 400)
    item = cast.api("responder").post(items, body).json()
    changed = {"state": "in_progress", "due_on": "2026-12-01"}
    assert cast.statuses("patch", f"{items}/{item['id']}", changed) == answers(200, 200, 403, 404)
    first = count_queries(cast.api("observer"), items)
    for _ in range(2):
        cast.api("responder").post(items, body)
    assert count_queries(cast.api("observer"), items) == (3, first[1])
    assert count_queries(cast.api("outsider"), items)[0] == 0
