"""Triage: many at once, filters that are kept, counts, and search."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from incidents import queries, search, triage
from incidents.enums import Kind, Severity, Status
from incidents.models import SavedFilter
from incidents.queries import IncidentFilter
from incidents.timeline import Actor
from openalert.ids import uuid7
from openalert.tests.pages import Pages
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

from .factories import IncidentFactory, TimelineEntryFactory

HTMX = {"HX-Request": "true"}


@pytest.fixture
def cast(db):
    people = {name: UserFactory(name=name) for name in ("manager", "responder", "observer", "outsider")}
    team = TeamFactory(
        name="Payments",
        managers=[people["manager"]],
        responders=[people["responder"]],
        observers=[people["observer"]],
    )
    TeamFactory(managers=[people["outsider"]])
    return SimpleNamespace(**people, nobody=None, team=team, service=ServiceFactory(team=team))


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def three(cast):
    return [IncidentFactory(service=cast.service) for _ in range(3)]


def statuses(incidents):
    for incident in incidents:
        incident.refresh_from_db()
    return [incident.status for incident in incidents]


def answer(pages, who, incidents, action, **headers):
    given = {"action": action, "number": [incident.number for incident in incidents]}
    return pages.client(who).post(reverse("incidents-bulk"), given, headers={**HTMX, **headers})


def toast(response):
    return json.loads(response.headers["HX-Trigger"])["toast"]


# Many at once


@pytest.mark.parametrize(
    ("action", "status", "said"),
    [
        ("acknowledge", Status.ACKNOWLEDGED, "3 incidents acknowledged"),
        ("resolve", Status.RESOLVED, "3 incidents resolved"),
        ("snooze-15", Status.SNOOZED, "3 incidents snoozed"),
        ("snooze-tomorrow", Status.SNOOZED, "3 incidents snoozed"),
    ],
)
def test_one_answer_for_three(pages, three, action, status, said):
    response = answer(pages, "responder", three, action)
    assert (response.status_code, toast(response)) == (204, {"title": said, "body": "", "tone": "success"})
    assert statuses(three) == [status] * 3
    assert [entry.actor_name for incident in three for entry in incident.timeline.all()] == ["responder"] * 3


def test_what_cannot_be_done_is_said_and_the_rest_is_done(pages, cast, three):
    three[0].status, three[0].resolved_at = Status.RESOLVED, timezone.now()
    three[0].save()
    response = answer(pages, "responder", three, "acknowledge")
    why = f"#{three[0].number}: Incident {three[0].number} is resolved: it cannot become acknowledged."
    assert toast(response) == {"title": "2 incidents acknowledged", "body": why, "tone": "warning"}
    assert statuses(three) == [Status.RESOLVED, Status.ACKNOWLEDGED, Status.ACKNOWLEDGED]


def test_who_may(pages, cast, three):
    """An outsider's numbers lead to nothing, and an observer is told why not."""
    assert pages.client("nobody").post(reverse("incidents-bulk")).status_code == 302
    assert toast(answer(pages, "outsider", three, "resolve"))["title"] == "0 incidents resolved"
    told = toast(answer(pages, "observer", three, "resolve"))
    assert told["body"].count("only responders and managers of Payments may do this.") == 3
    assert statuses(three) == [Status.OPEN] * 3
    assert toast(answer(pages, "manager", three, "resolve"))["tone"] == "success"


def test_asked_twice_under_one_key_it_is_done_once(pages, three):
    key = str(uuid7())
    answer(pages, "responder", three, "acknowledge", **{"Idempotency-Key": key})
    for incident in three:
        incident.refresh_from_db()
    answer(pages, "responder", three, "resolve", **{"Idempotency-Key": str(uuid7())})
    response = answer(pages, "responder", three, "acknowledge", **{"Idempotency-Key": key})
    assert toast(response)["title"] == "3 incidents acknowledged"
    assert statuses(three) == [Status.RESOLVED] * 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"action": "acknowledge"}, "Choose some incidents first."),
        ({"number": "1"}, "Say what to do with them."),
        ({"action": "explode", "number": "1"}, "explode is not one of the available choices"),
        ({"action": "resolve", "number": "one"}, "one is not one of the available choices"),
        ({"action": "resolve", "number": "9" * 30}, "is not one of the available choices"),
        ({"action": "resolve", "number": list(range(1, 202))}, "Choose 200 incidents at most."),
    ],
)
def test_what_is_wrong_is_told(pages, three, given, said):
    response = pages.client("responder").post(reverse("incidents-bulk"), given, headers=HTMX)
    assert (response.status_code, said in response.json()["errors"][0]["detail"]) == (400, True)
    response = pages.client("responder").post(reverse("incidents-bulk"), given, follow=True)
    assert said in response.text
    assert statuses(three) == [Status.OPEN] * 3


def test_the_number_of_statements_does_not_grow(cast, three):
    actor = Actor.person(cast.responder, via="web")

    def count(incidents):
        with CaptureQueriesContext(connection) as found:
            triage.acknowledge([incident.pk for incident in incidents], actor=actor)
        return len(found)

    assert count(three[:1]) == count(three[1:])


def test_merging_the_chosen(pages, cast, three):
    three[1].severity = Severity.CRITICAL
    three[1].save()
    client = pages.client("responder")
    numbers = [incident.number for incident in three]
    asked = client.get(reverse("incidents-bulk-merge"), {"number": numbers}, headers=HTMX)
    # The worst is offered first, and chosen.
    assert asked.text.index(f'value="{three[1].number}" checked') > 0
    given = {"number": numbers, "into": three[1].number}
    told = toast(client.post(reverse("incidents-bulk-merge"), given, headers=HTMX))
    assert told["title"] == f"2 incidents merged into #{three[1].number}"
    assert statuses(three) == [Status.RESOLVED, Status.OPEN, Status.RESOLVED]
    assert {three[0].merged_into_id, three[2].merged_into_id} == {three[1].pk}


def test_merging_wants_two_of_ones_own(pages, cast, three):
    numbers = {"number": [incident.number for incident in three]}
    for who in ("observer", "outsider"):
        response = pages.client(who).get(reverse("incidents-bulk-merge"), numbers, headers=HTMX)
        assert "at least two" in response.json()["errors"][0]["detail"]
    wrong = pages.client("manager").post(
        reverse("incidents-bulk-merge"), {**numbers, "into": 0}, headers=HTMX
    )
    assert wrong.status_code == 422
    assert statuses(three) == [Status.OPEN] * 3


def test_only_what_one_may_answer_can_be_chosen(pages, three):
    assert pages.text("responder", reverse("incidents")).count('name="number"') == 3
    assert 'name="number"' not in pages.text("observer", reverse("incidents"))


# Counts


def test_counts_by_state_and_severity(cast):
    for severity, status in [
        (Severity.CRITICAL, Status.OPEN),
        (Severity.CRITICAL, Status.ACKNOWLEDGED),
        (Severity.LOW, Status.OPEN),
        (Severity.LOW, Status.RESOLVED),
    ]:
        IncidentFactory(service=cast.service, severity=severity, status=status)

    def counted(**wanted):
        counts = queries.counts_of(cast.manager, IncidentFilter(**wanted))
        return counts.unresolved, [*counts.by_status.values()], [*counts.by_severity.values()]

    assert counted() == (3, [2, 1, 0], [2, 0, 0, 1])
    assert counted(state=Status.OPEN) == (3, [2, 1, 0], [1, 0, 0, 1])
    assert counted(severities=[Severity.LOW]) == (1, [1, 0, 0], [2, 0, 0, 1])


# Search


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("replica", ["Replica of db-2 is behind"]),
        ("behind replicas", ["Replica of db-2 is behind"]),  # stems, in any order
        ("eplica of db", ["Replica of db-2 is behind"]),  # inside of words
        ("restarting", ["Node is down"]),  # the note says “restarted”
        ("OPS-47", ["Node is down"]),
        ("it", []),  # within words of notes only what is longer; this one is in every text
        ("db", ["Replica of db-2 is behind"]),
        ("node -bank", ["Node is down"]),
        ('"is behind"', ["Replica of db-2 is behind"]),
        ("is", ["Bank is away", "Node is down", "Replica of db-2 is behind"]),
        ("nothing of the sort", []),
        ("50%", []),
    ],
)
def test_search(cast, text, found):
    IncidentFactory(service=cast.service, title="Replica of db-2 is behind")
    node = IncidentFactory(service=cast.service, title="Node is down")
    TimelineEntryFactory(incident=node, kind=Kind.NOTE, data={"text": "Restarted it, see OPS-4711."})
    IncidentFactory(service=cast.service, title="Bank is away")
    IncidentFactory(title="Another team’s node is down, behind a replica: restarted")
    shown = queries.incidents_for_list(cast.manager, IncidentFilter(text=text))
    assert sorted(incident.title for incident in shown) == found


def test_search_by_number(cast, three):
    for text in (str(three[1].number), f"#{three[1].number}"):
        shown = queries.incidents_for_list(cast.manager, IncidentFilter(text=text))
        assert three[1] in shown


def test_a_search_looks_things_up_once(pages, three):
    client = pages.client("manager")
    client.get(reverse("incidents"))
    with CaptureQueriesContext(connection) as found:
        client.get(reverse("incidents"), {"q": "Incident"})
    assert len([query for query in found if "UNION" in query["sql"]]) == 1


def test_more_than_can_be_shown_is_said(pages, three, monkeypatch):
    monkeypatch.setattr(search, "MOST_FOUND", 2)
    assert "found more than 2" in pages.text("manager", f"{reverse('incidents')}?q=Incident")


def test_newest_are_found_from_all_sides_however_often_one_of_them_says_it(cast, monkeypatch):
    monkeypatch.setattr(search, "MOST_FOUND", 3)
    titled, *noted = (
        IncidentFactory(service=cast.service, title=title)
        for title in ("Disk swap", "Node is down", "Bank is away", "Queue grows")
    )
    for incident in (*noted, *noted):
        TimelineEntryFactory(incident=incident, kind=Kind.NOTE, data={"text": "See the disk swap"})
    assert search.found_ids("disk swap") == [incident.pk for incident in reversed(noted)]
    latest = IncidentFactory(service=cast.service, title="Another disk swap")
    assert search.found_ids("disk swap") == [latest.pk, noted[2].pk, noted[1].pk]
    assert titled.pk not in search.found_ids("disk swap")


@pytest.mark.parametrize("others", [0, 4], ids=["common", "rare"])
def test_newest_are_found_by_words_that_are_common_or_rare(cast, monkeypatch, others):
    monkeypatch.setattr(search, "MOST_FOUND", 2)
    swaps = [IncidentFactory(service=cast.service, title="Disk swaps") for _ in range(3)]
    for _ in range(others):
        IncidentFactory(service=cast.service, title="Bank is away")
    assert search.found_ids("swapping") == [swaps[2].pk, swaps[1].pk]


def test_words_are_looked_up_in_their_indexes(cast):
    """The planner takes them once it may not read whole tables, which are small here, or whole indexes of their keys."""
    with connection.cursor() as cursor:
        for way in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        # Which has all the notes, and so few of them are read as fast by it.
        cursor.execute("DROP INDEX timeline_note_by_incident")
        with CaptureQueriesContext(connection) as found:
            search.found_ids("restarted node")
        cursor.execute("EXPLAIN " + found[-1]["sql"])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    for index in ("incident_title_words", "timeline_note_words"):
        assert index in plan


# Filters that are kept


def keep(pages, who, name, query, **more):
    given = {**dict(pair.split("=") for pair in query.split("&")), "name": name, **more}
    return pages.client(who).post(reverse("filter-save"), given, headers=HTMX)


def test_a_filter_is_kept_and_shown(pages, cast):
    assert keep(pages, "responder", "Worst", "severity=critical&page=3&nonsense=1").status_code == 204
    saved = SavedFilter.objects.get()
    assert (saved.user, saved.team, saved.query) == (cast.responder, None, "severity=critical")
    page = pages.text("responder", f"{reverse('incidents')}?severity=critical")
    assert 'href="/incidents/?severity=critical" aria-current="page"' in page
    assert "Remove the filter Worst" in page
    assert "Worst" not in pages.text("manager", reverse("incidents"))


def test_the_same_name_again_takes_its_place(pages, cast):
    keep(pages, "responder", "Mine", "mine=1")
    keep(pages, "responder", "MINE", "state=open")
    keep(pages, "manager", "Mine", "mine=1")
    assert list(SavedFilter.objects.filter(user=cast.responder).values_list("name", "query")) == [
        ("MINE", "state=open")
    ]


def test_a_shared_filter_is_its_owners_to_remove(pages, cast):
    assert keep(pages, "responder", "Ours", "state=open", share_with=str(cast.team.pk)).status_code == 204
    saved = SavedFilter.objects.get()
    for who in ("manager", "observer"):
        assert "Ours" in pages.text(who, reverse("incidents"))
    assert "Ours" not in pages.text("outsider", reverse("incidents"))
    path = reverse("filter-remove", args=[saved.pk])
    assert pages.statuses("post", path) == Pages.answers(403, 302, 403, 404)


def test_sharing_takes_a_responder(pages, cast):
    response = keep(pages, "observer", "Ours", "state=open", share_with=str(cast.team.pk))
    assert response.status_code == 422
    assert keep(pages, "observer", "", "state=open").status_code == 422
    assert not SavedFilter.objects.exists()


def test_a_filter_of_a_team_goes_with_it_in_the_address(pages, cast):
    keep(pages, "responder", "Team", f"team={cast.team.pk}&days=7")
    assert SavedFilter.objects.get().query == f"team={cast.team.pk}&days=7"


def test_snoozing_many_ends_when_it_was_said(pages, three, clock):
    answer(pages, "responder", three, "snooze-60")
    for incident in three:
        incident.refresh_from_db()
        assert incident.snoozed_until == timezone.now() + timedelta(minutes=60)
