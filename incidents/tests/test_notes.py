"""Notes: Markdown that is safe to show, mentions, and past incidents with what was written about them."""

from types import SimpleNamespace

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import lifecycle
from incidents.enums import Kind, Status
from incidents.markdown import as_html
from incidents.mentions import mentioned
from incidents.similar import similar_to
from incidents.timeline import Actor, sentence
from openalert.tests.pages import Pages
from teams.models import Notice
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

from .factories import IncidentFactory, TimelineEntryFactory

LINK = 'rel="noopener noreferrer nofollow"'


@pytest.fixture
def cast(db):
    people = {
        "manager": UserFactory(name="Carla Haas", email="carla@example.org"),
        "responder": UserFactory(name="Ana Ruiz", email="ana.r@example.org"),
        "observer": UserFactory(name="Finn Walsh", email="finn@example.org"),
        "outsider": UserFactory(name="Otto", email="otto@example.org"),
    }
    team = TeamFactory(
        managers=[people["manager"]], responders=[people["responder"]], observers=[people["observer"]]
    )
    TeamFactory(managers=[people["outsider"]])
    return SimpleNamespace(**people, nobody=None, team=team, service=ServiceFactory(team=team))


@pytest.fixture
def pages(cast):
    return Pages(cast)


# Markdown


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("It was **DNS**.", "<p>It was <strong>DNS</strong>.</p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("`a < b`", "<p><code>a &lt; b</code></p>"),
        (
            "see https://example.org/a_b",
            f'<p>see <a href="https://example.org/a_b" {LINK}>https://example.org/a_b</a></p>',
        ),
        ("~~no~~", "<p><s>no</s></p>"),
        ("# 42 is not a chapter", "<p># 42 is not a chapter</p>"),
        ("- [x](https://example.org)", f'<ul>\n<li><a href="https://example.org" {LINK}>x</a></li>\n</ul>'),
    ],
)
def test_markdown(text, html):
    assert as_html(text).strip() == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://evil.example/pixel.png)",
        "<javascript:alert(1)>",
        '[x](https://example.org "onmouseover=alert(1)" onclick=alert(1))',
        "<a href='vbscript:x'>x</a>",
        "| <iframe src=//evil.example> | b |\n|-|-|\n| <svg onload=x> | 2 |",
    ],
)
def test_markdown_runs_nothing_and_loads_nothing(text):
    html = as_html(text)
    for bad in (
        "<script",
        "<img",
        "<svg",
        "<iframe",
        'href="javascript',
        'href="data',
        'href="vbscript',
        "<a onclick",
    ):
        assert bad not in html


def test_a_note_is_shown_as_markdown(pages, cast):
    incident = IncidentFactory(service=cast.service)
    TimelineEntryFactory(incident=incident, kind=Kind.NOTE, data={"text": "**Bold** <b>raw</b>"})
    page = pages.text("observer", reverse("incident-timeline", args=[incident.number]))
    assert "<strong>Bold</strong> &lt;b&gt;raw&lt;/b&gt;" in page


# Mentions


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@carla please look", ["Carla Haas"]),
        ("@Ana and @CARLA, @ana again", ["Ana Ruiz", "Carla Haas"]),
        ("(@ana.r) or @AnaRuiz.", ["Ana Ruiz"]),
        ("mail ops@carla.example, `@carla`, ```@ana```", []),
        ("@nobody @otto", []),  # Otto is of another team
        ("@", []),
    ],
)
def test_who_is_mentioned(cast, text, names):
    assert [person.name for person in mentioned(text, cast.team)] == names


def test_a_name_of_two_is_nobodys_unless_more_is_said(cast):
    cast.team.members.add(UserFactory(name="Ana Berg", email="berg@example.org"))
    assert mentioned("@ana", cast.team) == []
    assert [person.name for person in mentioned("@AnaBerg", cast.team)] == ["Ana Berg"]


def test_those_who_are_gone_are_not_mentioned(cast):
    cast.manager.is_active = False
    cast.manager.save()
    assert mentioned("@carla", cast.team) == []


def test_who_is_mentioned_is_told_and_the_writer_is_not(cast):
    incident = IncidentFactory(service=cast.service, title="Disk full")
    actor = Actor.person(cast.responder, via="web")
    entry = lifecycle.add_note(incident_id=incident.pk, text="@carla, it is @ana’s disk", actor=actor)
    assert sentence(entry) == "Ana Ruiz wrote a note for Carla Haas and Ana Ruiz"
    [notice] = Notice.objects.all()
    assert (notice.user, notice.path) == (cast.manager, incident.get_absolute_url())
    assert notice.subject == f"Ana Ruiz mentions you: #{incident.number} Disk full"


def test_a_note_for_nobody_tells_nobody(cast):
    incident = IncidentFactory(service=cast.service)
    entry = lifecycle.add_note(
        incident_id=incident.pk, text="It was DNS.", actor=Actor.person(cast.manager, via="api")
    )
    assert sentence(entry) == "Carla Haas wrote a note"
    assert not Notice.objects.exists()


# Past incidents


def past(service, title, note="", **fields):
    incident = IncidentFactory(
        service=service, title=title, status=Status.RESOLVED, resolved_at=timezone.now(), **fields
    )
    if note:
        TimelineEntryFactory(incident=incident, kind=Kind.NOTE, data={"text": "First guess."})
        TimelineEntryFactory(incident=incident, kind=Kind.NOTE, data={"text": note})
    return incident


def test_past_incidents_with_what_ended_them(pages, cast):
    elsewhere = ServiceFactory(team=cast.team)
    other = past(elsewhere, "Replica db-2 is behind")
    same = past(
        cast.service,
        "Replica db-1 is behind by 45 s",
        "Restarted **walreceiver**.",
        resolved_by=cast.responder,
    )
    past(cast.service, "Certificate ends soon")
    past(ServiceFactory(), "Replica db-2 is behind")  # of a team that is not theirs
    IncidentFactory(service=cast.service, title="Replica db-2 is behind")  # not over
    past(cast.service, "Replica db-2 is behind", merged_into=other)
    incident = IncidentFactory(service=cast.service, title="Replica db-2 is behind")
    found = similar_to(incident, user=cast.observer)
    assert [(similar.incident, similar.note and similar.note.data["text"]) for similar in found] == [
        (same, "Restarted **walreceiver**."),
        (other, None),
    ]
    assert found[1].percent == 100
    page = pages.text("observer", reverse("incident-similar", args=[incident.number]))
    assert "Restarted <strong>walreceiver</strong>." in page
    assert "by Ana Ruiz" in page


def test_where_there_are_none_nothing_is_shown(pages, cast):
    incident = IncidentFactory(service=cast.service, title="Something new")
    assert "hidden" in pages.text("observer", reverse("incident-similar", args=[incident.number]))


def test_who_sees_past_incidents(pages, cast):
    incident = IncidentFactory(service=cast.service)
    path = reverse("incident-similar", args=[incident.number])
    assert pages.statuses("get", path) == Pages.answers(200, 200, 200, 404)


def test_similar_takes_as_many_queries_for_three(pages, cast):
    incident = IncidentFactory(service=cast.service, title="Replica is behind")
    path = reverse("incident-similar", args=[incident.number])
    past(cast.service, "Replica is behind 1", "x")
    one = pages.count_queries("manager", path)
    past(cast.service, "Replica is behind 2", "y")
    past(cast.service, "Replica is behind 3", "z")
    assert pages.count_queries("manager", path) == one


# The summary


def test_a_summary_stands_above_the_incident(pages, cast):
    incident = IncidentFactory(service=cast.service)
    path = reverse("incident-summary", args=[incident.number])
    assert pages.statuses("get", path) == Pages.answers(200, 200, 403, 404)
    assert pages.statuses("post", path, {"text": "x"}) == Pages.answers(302, 302, 403, 404)
    for _ in range(2):
        answer = pages.client("responder").post(
            path, {"text": " The **bank** is away. "}, headers={"HX-Request": "true"}
        )
        assert answer.status_code == 204
    assert "The <strong>bank</strong> is away." in pages.text("observer", incident.get_absolute_url())
    assert "Edit</a>" not in pages.text("observer", reverse("incident-header", args=[incident.number]))
    assert "The **bank** is away." in pages.text("manager", path)
    assert [sentence(entry) for entry in incident.timeline.all()] == ["Ana Ruiz pinned a summary"]


def test_a_summary_is_taken_away(cast):
    incident = IncidentFactory(service=cast.service, summary="Old news")
    lifecycle.set_summary(incident_id=incident.pk, text=" ", actor=Actor.person(cast.manager, via="web"))
    incident.refresh_from_db()
    assert incident.summary == ""
    assert [sentence(entry) for entry in incident.timeline.all()] == ["Carla Haas took the summary away"]


def test_a_summary_that_is_too_long_is_told(pages, cast):
    incident = IncidentFactory(service=cast.service)
    path = reverse("incident-summary", args=[incident.number])
    answer = pages.client("manager").post(path, {"text": "x" * 5001}, headers={"HX-Request": "true"})
    assert (answer.status_code, "at most 5000 characters" in answer.text) == (422, True)
