"""The pages of incidents, for each of the cast: manager, responder, observer, outsider and nobody."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import strip_tags

from alerts.enums import AlertStatus
from alerts.tests.factories import AlertFactory
from escalations.enums import RunStatus
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, RunFactory
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory, TimelineEntryFactory
from notifications.enums import NotificationStatus
from notifications.tests.factories import NotificationFactory
from openalert.ids import uuid7
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

HTMX = {"HX-Request": "true"}
PAGES = (
    "incident",
    "incident-header",
    "incident-timeline",
    "incident-alerts",
    "incident-pages",
    "incident-escalation",
)
# Forms in a dialog, for those who may act.
QUESTIONS = ("incident-snooze", "incident-reassign")
# action → (what is posted, the status afterwards)
ACTIONS = {
    "incident-acknowledge": ({}, Status.ACKNOWLEDGED),
    "incident-unacknowledge": ({}, Status.OPEN),
    "incident-resolve": ({}, Status.RESOLVED),
    "incident-reopen": ({}, Status.OPEN),
    "incident-snooze": ({"minutes": "15"}, Status.SNOOZED),
    "incident-severity": ({"severity": "low"}, Status.OPEN),
    "incident-note": ({"text": "It was DNS."}, Status.OPEN),
    "incident-escalate": ({}, Status.OPEN),
}


@pytest.fixture
def cast(db):
    people = {name: UserFactory(name=name) for name in ("manager", "responder", "observer", "outsider")}
    team = TeamFactory(
        managers=[people["manager"]], responders=[people["responder"]], observers=[people["observer"]]
    )
    TeamFactory(managers=[people["outsider"]])
    return {**people, "team": team}


@pytest.fixture
def incident(cast):
    team = cast["team"]
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[cast["responder"]]]))
    return IncidentFactory(service=ServiceFactory(team=team), title="Disk full")


@pytest.fixture
def as_responder(client, cast):
    client.force_login(cast["responder"])
    return client


def url(name, incident):
    return reverse(name, args=[incident.number])


@pytest.mark.parametrize("name", PAGES)
def test_who_sees_what(client, cast, incident, name):
    assert client.get(url(name, incident)).headers["location"].startswith("/accounts/login/")
    seen = {}
    for person in ("manager", "responder", "observer", "outsider"):
        client.force_login(cast[person])
        seen[person] = client.get(url(name, incident)).status_code
    assert seen == {"manager": 200, "responder": 200, "observer": 200, "outsider": 404}


@pytest.mark.parametrize("name", QUESTIONS)
def test_who_is_asked(client, cast, incident, name):
    seen = {}
    for person in ("manager", "responder", "observer", "outsider"):
        client.force_login(cast[person])
        seen[person] = client.get(url(name, incident)).status_code
    assert seen == {"manager": 200, "responder": 200, "observer": 403, "outsider": 404}


@pytest.mark.parametrize("name", ACTIONS)
def test_who_may_do_what(client, cast, incident, name):
    posted, after = ACTIONS[name]
    assert client.post(url(name, incident), posted).headers["location"].startswith("/accounts/login/")
    client.force_login(cast["outsider"])
    assert client.post(url(name, incident), posted).status_code == 404
    client.force_login(cast["observer"])
    response = client.post(url(name, incident), posted, headers=HTMX)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (403, "permission_denied")
    assert not incident.timeline.exists()
    assert client.post(url(name, incident), posted).status_code == 403
    assert not incident.timeline.exists()
    client.force_login(cast["manager"])
    if name not in QUESTIONS:
        assert client.get(url(name, incident)).status_code == 405
    assert client.post(url(name, incident), posted, headers=HTMX).status_code in (200, 204)
    incident.refresh_from_db()
    assert incident.status == after


def test_observer_sees_no_buttons(client, cast, incident):
    client.force_login(cast["observer"])
    page = client.get(incident.get_absolute_url()).content.decode()
    assert "Acknowledge" not in page
    assert "Add note" not in page


def test_action_with_htmx_answers_with_a_toast_and_refetches(as_responder, incident):
    response = as_responder.post(url("incident-acknowledge", incident), headers=HTMX)
    told = json.loads(response.headers["HX-Trigger"])
    assert told["toast"]["title"] == f"#{incident.number} acknowledged"
    assert "incident-changed" in told


def test_action_without_javascript_comes_back(as_responder, incident):
    response = as_responder.post(url("incident-acknowledge", incident), follow=True)
    assert response.redirect_chain == [(incident.get_absolute_url(), 302)]
    assert "acknowledged" in response.content.decode()
    for given, target in [
        ("/incidents/?state=open", "/incidents/?state=open"),
        ("https://evil.example/", None),
    ]:
        response = as_responder.post(url("incident-acknowledge", incident), {"next": given})
        assert response.headers["location"] == (target or incident.get_absolute_url())


def test_doubled_click_is_harmless(as_responder, incident):
    for _ in range(2):
        assert as_responder.post(url("incident-resolve", incident), headers=HTMX).status_code == 204
    assert incident.timeline.filter(kind=Kind.RESOLVED).count() == 1


def test_what_is_not_possible_is_told_in_words(as_responder, incident):
    as_responder.post(url("incident-resolve", incident))
    response = as_responder.post(url("incident-acknowledge", incident), headers=HTMX)
    detail = f"Incident {incident.number} is resolved: it cannot become acknowledged."
    assert (response.status_code, response.json()["errors"][0]["detail"]) == (409, detail)
    page = as_responder.post(url("incident-acknowledge", incident), follow=True).content.decode()
    assert detail in page


@pytest.mark.parametrize(
    ("name", "posted", "said"),
    [
        ("incident-snooze", {}, "Say until when."),
        ("incident-snooze", {"minutes": "-5"}, "Say until when."),
        ("incident-snooze", {"minutes": "9" * 30}, "Say until when."),
        ("incident-snooze", {"until": "yesterday"}, "Enter a valid date/time."),
        ("incident-snooze", {"until": "2001-01-01T09:00"}, "The snooze must end in the future."),
        ("incident-snooze", {"until": "9999-12-31T23:59"}, "Snooze for a year at most."),
        ("incident-note", {"text": "  "}, "This field is required."),
        ("incident-reassign", {"to": "x"}, "Select a valid choice."),
        ("incident-reassign", {}, "Say to whom."),
    ],
)
def test_what_is_wrong_is_told_in_the_form(as_responder, incident, name, posted, said):
    for headers in (HTMX, {}):
        response = as_responder.post(url(name, incident), posted, headers=headers)
        assert response.status_code == 422
        assert said in response.content.decode()
        assert ("<title>" in response.content.decode()) == (headers == {})
    assert not incident.timeline.exists()


def test_unknown_severity_is_refused(as_responder, incident):
    response = as_responder.post(url("incident-severity", incident), {"severity": "urgent"}, headers=HTMX)
    assert response.status_code == 400
    assert "urgent is not one of the available choices" in response.json()["errors"][0]["detail"]
    assert not incident.timeline.exists()


def test_snooze_until_is_the_persons_own_time(as_responder, cast, incident, clock):
    cast["responder"].time_zone = "America/New_York"
    cast["responder"].save()
    as_responder.post(url("incident-snooze", incident), {"until": "2026-03-03T09:30"})
    incident.refresh_from_db()
    assert incident.snoozed_until.isoformat() == "2026-03-03T14:30:00+00:00"
    as_responder.post(url("incident-snooze", incident), {"tomorrow": "1"})
    incident.refresh_from_db()
    assert incident.snoozed_until.isoformat() == "2026-03-03T14:00:00+00:00"


def test_reassigning(as_responder, cast, incident):
    response = as_responder.post(
        url("incident-reassign", incident), {"to": f"user:{cast['manager'].pk}"}, headers=HTMX
    )
    assert response.status_code == 204
    incident.refresh_from_db()
    assert incident.assigned_to == cast["manager"]
    policy = incident.escalation_runs.get().policy
    as_responder.post(url("incident-reassign", incident), {"to": f"policy:{policy.pk}"})
    incident.refresh_from_db()
    assert incident.assigned_to is None
    assert incident.timeline.filter(kind=Kind.REASSIGNED, data={"to": str(policy)}).exists()
    foreign = PolicyFactory()
    for stranger in (f"user:{cast['outsider'].pk}", f"user:{cast['observer'].pk}", f"policy:{foreign.pk}"):
        response = as_responder.post(url("incident-reassign", incident), {"to": stranger}, headers=HTMX)
        assert response.status_code == 422


def test_opening_by_hand(as_responder, cast, incident):
    page = reverse("incident-new")
    assert as_responder.get(page).status_code == 200
    assert as_responder.post(page, {"title": ""}).status_code == 422
    given = {"service": incident.service.pk, "title": "Shop is slow", "severity": "high", "note": ""}
    response = as_responder.post(page, given)
    opened = Incident.objects.get(title="Shop is slow")
    assert response.headers["location"] == opened.get_absolute_url()
    assert opened.escalation_runs.exists()
    as_responder.force_login(cast["outsider"])
    assert as_responder.post(page, given).status_code == 422
    as_responder.force_login(cast["observer"])
    assert as_responder.get(page).status_code == 403
    assert as_responder.post(page, given).status_code == 403


def test_what_people_write_is_text(as_responder, incident):
    evil = "<script>alert(1)</script>"
    Incident.objects.update(title=evil)
    TimelineEntryFactory(incident=incident, data={"text": f"{evil} https://example.org"})
    AlertFactory(
        incident=incident,
        title=evil,
        labels={evil: evil},
        metadata={"runbook": "javascript:alert(1)", "generatorURL": "https://graph.example.org/?a=1&b=2"},
    )
    NotificationFactory(incident=incident, last_error=evil)
    for name in PAGES:
        page = as_responder.get(url(name, incident)).content.decode()
        assert evil not in page
        assert "javascript:" not in page
    assert (
        "https://graph.example.org/?a=1&amp;b=2"
        in as_responder.get(url("incident-alerts", incident)).content.decode()
    )
    assert evil not in as_responder.get(reverse("incidents")).content.decode()


def titles(client, **query):
    page = client.get(reverse("incidents"), query).context["page"]
    return [incident.title for incident in page]


def test_list_puts_first_what_wants_an_answer(as_responder, cast, clock):
    service = ServiceFactory(team=cast["team"])
    for number, (severity, status) in enumerate(
        [
            (Severity.LOW, Status.OPEN),
            (Severity.CRITICAL, Status.ACKNOWLEDGED),
            (Severity.CRITICAL, Status.OPEN),
            (Severity.CRITICAL, Status.RESOLVED),
            (Severity.HIGH, Status.SNOOZED),
            (Severity.CRITICAL, Status.OPEN),
        ]
    ):
        opened_at = clock.now + timedelta(minutes=number)
        IncidentFactory(
            service=service, title=str(number), severity=severity, status=status, opened_at=opened_at
        )
    IncidentFactory(title="somebody else's")
    assert titles(as_responder) == ["5", "2", "0", "1", "4"]
    assert titles(as_responder, state="all") == ["5", "4", "3", "2", "1", "0"]
    assert titles(as_responder, state="resolved") == ["3"]
    assert titles(as_responder, severity=["low", "high"]) == ["0", "4"]
    assert titles(as_responder, severity="nonsense", state="rubbish", team="x", page="99") != []


def test_list_filters(as_responder, cast, clock):
    one, other = (ServiceFactory(team=cast["team"]) for _ in range(2))
    old = clock.now - timedelta(days=3)
    disk = IncidentFactory(service=one, title="Disk FULL on db1", assigned_to=cast["responder"])
    IncidentFactory(service=other, title="Fan", opened_at=old)
    assert titles(as_responder, q="disk full") == ["Disk FULL on db1"]
    assert titles(as_responder, q=f"#{disk.number}") == ["Disk FULL on db1"]
    assert titles(as_responder, q="9" * 30) == []
    assert titles(as_responder, service=other.pk) == ["Fan"]
    assert titles(as_responder, days="1") == ["Disk FULL on db1"]
    assert titles(as_responder, mine="1") == ["Disk FULL on db1"]
    assert titles(as_responder, team=cast["team"].pk) == ["Disk FULL on db1", "Fan"]
    assert "No incident matches" in as_responder.get(reverse("incidents"), {"q": "zzz"}).content.decode()


def test_list_is_searched_by_alerts_too(as_responder, incident):
    AlertFactory(incident=incident, title="High LOAD on db1")
    AlertFactory(title="High load of somebody else's")
    assert titles(as_responder, q="high load") == ["Disk full"]


def page_text(client, address):
    return " ".join(strip_tags(client.get(address).content.decode()).split())


def test_list_says_how_many_alerts_fire_and_who_is_on_it(as_responder, cast, incident):
    Incident.objects.update(assigned_to=cast["responder"])
    AlertFactory(incident=incident)
    assert "1 alert " in page_text(as_responder, reverse("incidents"))
    AlertFactory(incident=incident, status=AlertStatus.RESOLVED)
    said = page_text(as_responder, reverse("incidents"))
    assert "1 of 2 alerts firing" in said
    assert "responder" in said


def test_list_says_when_the_next_step_is_due_or_that_nobody_is_paged(as_responder, incident):
    assert "nobody is paged" in page_text(as_responder, reverse("incidents"))
    run = RunFactory(incident=incident)
    assert "next step" in page_text(as_responder, reverse("incidents"))
    run.delete()
    RunFactory(incident=incident, status=RunStatus.EXHAUSTED)
    assert "nobody answered" in page_text(as_responder, reverse("incidents"))
    as_responder.post(url("incident-acknowledge", incident))
    said = page_text(as_responder, reverse("incidents"))
    assert "nobody" not in said
    assert "next step" not in said


def test_list_has_buttons_for_those_who_may_press_them(client, cast, incident):
    for person, has_buttons in {"responder": True, "observer": False}.items():
        client.force_login(cast[person])
        page = client.get(reverse("incidents")).content.decode()
        assert (url("incident-acknowledge", incident) in page) is has_buttons
        assert (reverse("incident-new") in page) is has_buttons


def test_counts_follow_the_filter_but_not_the_state(as_responder, cast):
    one, other = (ServiceFactory(team=cast["team"]) for _ in range(2))
    for status in (Status.OPEN, Status.OPEN, Status.ACKNOWLEDGED, Status.RESOLVED):
        IncidentFactory(service=one, status=status)
    IncidentFactory(service=other)
    tabs = as_responder.get(reverse("incidents"), {"service": one.pk, "state": "snoozed"}).context["tabs"]
    assert [count for *_, count in tabs] == [3, 2, 1, 0, None, None]


def test_list_has_pages(as_responder, cast):
    service = ServiceFactory(team=cast["team"])
    IncidentFactory.create_batch(52, service=service, status=Status.ACKNOWLEDGED)
    IncidentFactory(service=service, title="first")
    assert titles(as_responder)[0] == "first"
    assert (len(titles(as_responder)), len(titles(as_responder, page=2))) == (50, 3)


def test_empty_list_says_how_to_send_an_alert(as_responder):
    page = page_text(as_responder, reverse("incidents"))
    assert "Nothing is open" in page
    assert "/api/v1/alerts" in page
    assert "INTEGRATION_KEY" in page


def test_note_is_written_and_its_field_is_empty_again(as_responder, incident):
    response = as_responder.post(url("incident-note", incident), {"text": "It was DNS."}, headers=HTMX)
    assert "It was DNS." not in response.content.decode()
    assert "incident-changed" in json.loads(response.headers["HX-Trigger"])
    assert "It was DNS." in as_responder.get(url("incident-timeline", incident)).content.decode()
    response = as_responder.post(url("incident-note", incident), {"text": "It was not."})
    assert response.headers["location"] == incident.get_absolute_url()
    assert incident.timeline.filter(kind=Kind.NOTE).count() == 2


def test_a_step_s_pages_are_one_line_of_the_timeline(as_responder, incident):
    for user, channel in [("Ana", "in the app"), ("Bo", "by email"), ("Ana", "by email")]:
        TimelineEntryFactory(incident=incident, kind=Kind.PAGE_SENT, data={"user": user, "channel": channel})
    TimelineEntryFactory(incident=incident, kind=Kind.ACKNOWLEDGED, actor_name="Ana")
    lines = as_responder.get(url("incident-timeline", incident)).context["lines"]
    assert [line.text for line in lines] == [
        "Ana acknowledged",
        "Paged Ana in the app and by email, Bo by email",
    ]


def test_long_timeline_shows_more_when_asked(as_responder, incident):
    TimelineEntryFactory.create_batch(150, incident=incident)
    page = as_responder.get(incident.get_absolute_url())
    assert (len(page.context["lines"]), page.context["more"]) == (100, 200)
    page = as_responder.get(incident.get_absolute_url(), {"entries": 200})
    assert (len(page.context["lines"]), page.context["more"]) == (150, None)
    assert as_responder.get(incident.get_absolute_url(), {"entries": "-9z"}).status_code == 200


def test_pages_are_told_by_step_and_person(as_responder, cast, incident):
    ana, bo = UserFactory(name="Ana Ruiz"), UserFactory(name="Bo Chen")
    first, second = uuid7(), uuid7()
    sent = NotificationFactory(
        user=bo, incident=incident, run_id=first, status=NotificationStatus.SENT, attempt_count=1
    )
    for user, fields in [
        (ana, {"status": NotificationStatus.DEAD, "last_error": "mailbox full", "attempt_count": 5}),
        (ana, {"attempt_count": 1, "last_error": "connection refused"}),
        (bo, {"status": NotificationStatus.CANCELLED}),
    ]:
        NotificationFactory(user=user, incident=incident, run_id=second, step=1, **fields)
    steps = as_responder.get(url("incident-pages", incident)).context["steps"]
    assert [(step.step, [str(person) for person in step.people]) for step in steps] == [
        (1, ["Ana Ruiz", "Bo Chen"]),
        (0, ["Bo Chen"]),
    ]
    assert steps[1].people == {bo: [sent]}
    said = page_text(as_responder, url("incident-pages", incident))
    for words in (
        "Email failed",
        "Email, 5 attempts: mailbox full",
        "Email again in",
        "Email, 1 attempt: connection refused",
        "Email not needed",
    ):
        assert words in said


def test_escalation_says_who_is_next_or_why_nobody_is(as_responder, cast, incident, clock):
    address = url("incident-escalation", incident)
    assert "No routing rule of the team takes this incident." in page_text(as_responder, address)
    manager, responder = cast["manager"], cast["responder"]
    policy = PolicyFactory(team=cast["team"], levels=[[responder], [manager]], repeat_count=0)
    run = RunFactory(incident=incident, policy=policy, due_at=clock.now + timedelta(minutes=1), step=1)
    assert "Next, if nobody answers manager Step 2 · manager" in page_text(as_responder, address)
    run.step = 2
    run.save()
    assert "Everybody has been paged and nobody has answered." in page_text(as_responder, address)
    run.status, run.due_at, run.ended_at = RunStatus.EXHAUSTED, None, clock.now
    run.save()
    assert "Nobody answered." in page_text(as_responder, address)
    as_responder.post(url("incident-acknowledge", incident))
    assert "responder is on it: nobody else is paged." in page_text(as_responder, address)
    as_responder.post(url("incident-snooze", incident), {"minutes": "15"})
    assert "Silent until" in page_text(as_responder, address)
    as_responder.post(url("incident-resolve", incident))
    assert "It is over: nobody is paged." in page_text(as_responder, address)


def test_alerts_show_what_they_said_and_where_to_look(as_responder, incident):
    AlertFactory(
        incident=incident,
        title="Load",
        count=7,
        source="db1",
        labels={"env": "prod"},
        metadata={
            "annotations": {"description": "Load is 80.", "runbook_url": "https://runbooks.example.org/load"}
        },
    )
    AlertFactory(incident=incident, title="Over", status=AlertStatus.RESOLVED)
    response = as_responder.get(url("incident-alerts", incident))
    said = " ".join(strip_tags(response.content.decode()).split())
    for words in ("1 of 2 firing", "Load is 80.", "db1", "sent 7 times", "env prod", "Runbook"):
        assert words in said
    assert 'href="https://runbooks.example.org/load"' in response.content.decode()
    assert [alert.title for alert, *_ in response.context["alerts"]] == ["Load", "Over"]


def test_times_are_told_in_the_person_s_zone(as_responder, cast, incident, clock):
    cast["responder"].time_zone = "America/New_York"
    cast["responder"].save()
    as_responder.post(url("incident-snooze", incident), {"minutes": "60"})
    story = page_text(as_responder, url("incident-timeline", incident))
    assert "responder snoozed it until 2 Mar 08:00 EST" in story
    form = as_responder.get(url("incident-snooze", incident)).content.decode()
    assert 'value="2026-03-03T09:00"' in form
    assert "America/New_York time" in form


def test_error_for_htmx_is_told_in_words(client, cast, incident):
    client.force_login(cast["observer"])
    answer = client.get(url("incident-reassign", incident), headers=HTMX)
    detail = f"Only responders and managers of {cast['team']} may do this."
    assert (answer.status_code, answer.json()["errors"][0]["detail"]) == (403, detail)
    assert detail in page_text(client, url("incident-reassign", incident))


def test_queries_do_not_grow_with_the_rows(as_responder, cast, django_assert_num_queries):
    service = ServiceFactory(team=cast["team"])

    def fill(count):
        while Incident.objects.count() < count:
            incident = IncidentFactory(service=service, assigned_to=UserFactory())
            AlertFactory(incident=incident)
            NotificationFactory(incident=incident)
            RunFactory(incident=incident)

    fill(1)
    incident = Incident.objects.get()
    pages = [reverse("incidents"), *(url(name, incident) for name in PAGES)]
    counts = {}
    for page in pages:
        as_responder.get(page)
        with CaptureQueriesContext(connection) as queries:
            as_responder.get(page)
        counts[page] = len(queries)
    fill(3)
    for _ in range(3):
        AlertFactory(incident=incident)
        NotificationFactory(incident=incident)
        TimelineEntryFactory(incident=incident)
    for page in pages:
        with django_assert_num_queries(counts[page]):
            as_responder.get(page)
