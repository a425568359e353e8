"""Roles, tasks, links, status updates and subscriptions: what they do, and who may."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import links, roles, status_updates, subscriptions, task_list
from incidents.enums import Kind, LinkKind, Status, UpdateState
from incidents.exceptions import EmptyText, LinkedWithItself, NotInTeam, UnknownRole
from incidents.models import IncidentTask, ResponseSettings, Stakeholder, Subscription
from incidents.response_settings import DEFAULT_ROLES, read_roles, settings_for
from incidents.timeline import Actor, sentence
from openalert.tests.pages import Pages
from teams.models import Notice
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceDependencyFactory, ServiceFactory

from .factories import IncidentFactory, TimelineEntryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    return cast


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def incident(cast):
    return IncidentFactory(service=cast.service, title="Disk full")


@pytest.fixture
def actor(cast):
    return Actor.person(cast.responder, via="web")


def told(incident):
    return [sentence(entry) for entry in incident.timeline.all()]


# Roles


def test_a_role_is_assigned_handed_over_and_freed(cast, incident, actor):
    def assign(user):
        roles.assign(incident_id=incident.pk, role="Commander", user=user, actor=actor)

    for user in (cast.responder, cast.responder, cast.manager, None, None):
        assign(user)
    assert told(incident) == [
        "Rui Responder took on Commander",
        "Rui Responder made Mara Manager Commander, after Rui Responder",
        "Rui Responder took Commander from Mara Manager",
    ]
    # Who takes a role need not be told so.
    assert [notice.user for notice in Notice.objects.all()] == [cast.manager]
    with pytest.raises(NotInTeam):
        assign(cast.outsider)
    with pytest.raises(UnknownRole):
        roles.assign(incident_id=incident.pk, role="King", user=cast.manager, actor=actor)


def test_a_team_has_its_own_roles_else_the_installations_else_ours(cast, incident, actor):
    names = lambda: [held.role for held in roles.roles_of(incident)]  # noqa: E731
    assert names() == [role.name for role in read_roles(DEFAULT_ROLES)]
    roles.assign(incident_id=incident.pk, role="Scribe", user=cast.manager, actor=actor)
    ResponseSettings.objects.create(team=None, roles="Lead: leads\nlead: again")
    # What is held stays in sight although it is no longer offered.
    assert names() == ["Lead", "Scribe"]
    ResponseSettings.objects.create(team=cast.team, roles="Captain", postmortem_template="# Ours")
    assert names() == ["Captain", "Scribe"]
    assert settings_for(cast.other_team).roles[0].duty == "leads"


def test_roles_stand_on_the_page_and_are_assigned_there(cast, pages, incident):
    path = reverse("incident-role", args=[incident.number])
    given = {"role": "Commander", "user": str(cast.responder.pk)}
    assert pages.statuses("post", path, given) == pages.answers(302, 302, 403, 404)
    pages.client("manager").post(path, given)
    page = pages.text("observer", incident.get_absolute_url())
    assert "Commander" in page and "Scribe" not in page
    assert "Scribe" in pages.text("responder", incident.get_absolute_url())


# Tasks


def test_a_task_is_typed_in_one_line(cast, clock):
    read = task_list.read_quickly
    assert read("Look at it", cast.team) == ("Look at it", None, None)
    quick = read("Ask @rui about disks due 30m", cast.team)
    assert quick == ("Ask @rui about disks", cast.responder, timezone.now() + timedelta(minutes=30))
    assert read("Call due 11:00", cast.team).due_at == timezone.now() + timedelta(hours=23)
    assert read("Pay what is due", cast.team).text == "Pay what is due"


def test_a_task_is_added_changed_done_and_put_back(cast, incident, actor):
    task = task_list.add_task(
        incident_id=incident.pk, text=" Look \n at it ", assignee=cast.manager, actor=actor
    )
    for is_done in (True, True, False):
        task_list.set_done(task_id=task.pk, is_done=is_done, actor=actor)
    for _ in range(2):
        task_list.change_task(task_id=task.pk, text="Look", assignee=None, due_at=None, actor=actor)
    for _ in range(2):
        task_list.remove_task(task_id=task.pk, actor=actor)
    assert told(incident) == [
        "Rui Responder added the task “Look at it” for Mara Manager",
        "Rui Responder finished the task “Look at it”",
        "Rui Responder put the task “Look at it” back",
        "Rui Responder changed the task “Look”: nobody has it",
        "Rui Responder removed the task “Look”",
    ]
    assert [(notice.user, notice.path) for notice in Notice.objects.all()] == [
        (cast.manager, incident.get_absolute_url())
    ]
    with pytest.raises(EmptyText):
        task_list.add_task(incident_id=incident.pk, text="  ", actor=actor)
    with pytest.raises(NotInTeam):
        task_list.add_task(incident_id=incident.pk, text="x", assignee=cast.outsider, actor=actor)


def test_a_task_that_is_sent_twice_is_there_once(pages, incident):
    path = reverse("incident-task-new", args=[incident.number])
    headers = {"HX-Request": "true", "Idempotency-Key": "0b9c1a52-4f37-4a0e-8d59-7b1c7a4a3f10"}
    for _ in range(2):
        answer = pages.client("responder").post(path, {"text": "Look @mara"}, headers=headers)
        assert answer.status_code == 200 and "Look @mara" not in answer.text  # empty for the next one
    task = IncidentTask.objects.get()
    done = reverse("incident-task-done", args=[incident.number, task.pk])
    assert pages.statuses("post", done, {"done": "1"}) == pages.answers(302, 302, 403, 404)
    other = IncidentFactory(service=incident.service)
    assert (
        pages.client("responder")
        .post(reverse("incident-task-done", args=[other.number, task.pk]))
        .status_code
        == 404
    )


# Links


def test_links_are_told_from_both_ends_and_shown_to_those_who_see_the_other(cast, incident, actor):
    past = IncidentFactory(service=cast.service, status=Status.RESOLVED)
    TimelineEntryFactory(incident=past, kind=Kind.NOTE, data={"text": "It was DNS."})
    foreign = IncidentFactory(service=ServiceFactory(team=cast.other_team))
    for _ in range(2):
        links.link(incident_id=incident.pk, other_id=past.pk, kind=LinkKind.CAUSED_BY, actor=actor)
    links.link(incident_id=incident.pk, other_id=foreign.pk, kind=LinkKind.RELATES_TO, actor=actor)
    links.link(incident_id=foreign.pk, other_id=incident.pk, kind=LinkKind.RELATES_TO, actor=actor)
    assert told(past)[1:] == [f"Rui Responder linked it: caused #{incident.number}"]
    [link] = links.links_of(incident, user=cast.responder)
    assert (link.words, link.incident, link.note) == ("caused by", past, "It was DNS.")
    assert [link.words for link in links.links_of(foreign, user=cast.manager)] == ["relates to"]
    links.unlink(link_id=link.link_id, actor=actor)
    links.unlink(link_id=link.link_id, actor=actor)
    assert told(incident)[-1] == f"Rui Responder took a link away: caused by #{past.number}"
    with pytest.raises(LinkedWithItself):
        links.link(incident_id=incident.pk, other_id=incident.pk, kind=LinkKind.RELATES_TO, actor=actor)


def test_services_around_it_are_shown_with_their_health(cast, pages, incident):
    database = ServiceFactory(team=cast.team, name="Database")
    ServiceDependencyFactory(service=incident.service, upstream=database)
    ServiceDependencyFactory(
        service=ServiceFactory(team=cast.other_team, name="Secret"), upstream=incident.service
    )
    IncidentFactory(service=database)
    page = pages.text("observer", reverse("incident-services", args=[incident.number]))
    assert "Database" in page and "1 unresolved" in page and "Secret" not in page
    assert "And 1 of teams that you do not see" in page


def subscribe(incident, address):
    return subscriptions.subscribe_address(address=address, incident=incident)


def publish(incident, actor, text="We look at it."):
    return status_updates.publish(
        incident_id=incident.pk, state=UpdateState.IDENTIFIED, text=text, actor=actor
    )


# The page's queries, and the API


def test_the_incident_page_asks_the_same_number_of_queries(cast, pages, incident, actor):
    def grow():
        other = IncidentFactory(service=cast.service, status=Status.RESOLVED)
        TimelineEntryFactory(incident=other)
        task_list.add_task(incident_id=incident.pk, text="Look", assignee=cast.manager, actor=actor)
        links.link(incident_id=incident.pk, other_id=other.pk, kind=LinkKind.CAUSED_BY, actor=actor)
        publish(incident, actor)
        Stakeholder.objects.create(address=f"{other.number}@example.org")
        Subscription.objects.create(
            stakeholder=Stakeholder.objects.order_by("-created_at")[0], incident=incident
        )
        role = settings_for(cast.team).roles[grow.count].name
        roles.assign(incident_id=incident.pk, role=role, user=cast.manager, actor=actor)
        grow.count += 1

    grow.count = 0
    grow()
    first = pages.count_queries("responder", incident.get_absolute_url())
    grow()
    grow()
    assert pages.count_queries("responder", incident.get_absolute_url()) == first


def test_the_api_serves_all_of_it(cast, incident):
    path = f"/api/v1/incidents/{incident.pk}"
    past = IncidentFactory(service=cast.service, status=Status.RESOLVED)
    written = {
        "tasks": {"text": "Look", "assignee": str(cast.manager.pk)},
        "updates": {"state": "monitoring", "text": "Better."},
        "subscriptions": {"address": "boss@example.org", "standing": True},
        "links": {"kind": "caused_by", "other": str(past.pk)},
    }
    for name, body in written.items():
        assert cast.statuses("get", f"{path}/{name}") == SEEN_BY_MEMBERS, name
        assert cast.statuses("post", f"{path}/{name}", body) == answers(201, 201, 403, 404), name
        assert cast.api("responder").post(f"{path}/{name}", body).status_code == 201
    assert cast.statuses("post", f"{path}/subscriptions", {}) == answers(201, 201, 201, 404)
    role = {"role": "Commander", "user": str(cast.manager.pk)}
    assert cast.statuses("put", f"{path}/roles", role) == answers(200, 200, 403, 404)
    [task] = cast.api("observer").get(f"{path}/tasks").json()["results"]
    changed = cast.api("responder").patch(f"{path}/tasks/{task['id']}", {"done": True}).json()
    assert changed["done_by"]["name"] == "Rui Responder" and changed["assignee"]["name"] == "Mara Manager"
    [link] = cast.api("observer").get(f"{path}/links").json()
    assert (link["what"], link["incident"]["number"]) == ("caused by", past.number)
    [subscription] = cast.api("observer").get(f"{path}/subscriptions").json()["results"]
    assert subscription["address"] == "boss@example.org" and not subscription["is_confirmed"]
    for gone in (
        f"{path}/tasks/{task['id']}",
        f"{path}/links/{link['id']}",
        f"{path}/subscriptions/{subscription['id']}",
    ):
        assert cast.statuses("delete", gone) == answers(204, 204, 403, 404)


@pytest.mark.parametrize("name", ["tasks", "updates", "subscriptions"])
def test_lists_ask_the_same_number_of_queries(cast, incident, actor, name):
    def grow():
        task_list.add_task(incident_id=incident.pk, text="Look", assignee=cast.manager, actor=actor)
        publish(incident, actor)
        subscribe(incident, f"{IncidentTask.objects.count()}@example.org")

    path = f"/api/v1/incidents/{incident.pk}/{name}"
    grow()
    first = count_queries(cast.api("observer"), path)
    grow()
    grow()
    assert count_queries(cast.api("observer"), path) == (3, first[1])
