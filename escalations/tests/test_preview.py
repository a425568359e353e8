"""“If this service fired on Saturday at 03:10, who would be paged, how, and when?”"""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from alerts.tests.factories import MaintenanceWindowFactory
from escalations import engine
from escalations.enums import TargetKind
from escalations.models import EscalationRun, PagingSettings, RoundRobinTurn
from escalations.preview import preview
from escalations.tests.factories import PagingSettingsFactory, PolicyFactory, RoutingRuleFactory
from incidents.enums import Severity
from incidents.models import Incident, TimelineEntry
from notifications.enums import Channel
from notifications.models import Notification
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory
from teams.enums import Role
from teams.tests.cast import SEEN_BY_MEMBERS, Cast
from teams.tests.factories import MembershipFactory, ScheduleFactory, ServiceFactory

SATURDAY = datetime(2026, 3, 7, 3, 10, tzinfo=UTC)


def told(found):
    return [
        (step.at - found.at, step.loop, step.number, [person.user.name for person in step.people])
        for step in found.steps
    ]


def minutes(count):
    return timedelta(minutes=count)


def test_who_would_be_paged_how_and_when(pager):
    schedule = ScheduleFactory(team=pager.team, on_call=[pager.person("ana"), pager.person("bo")])
    MembershipFactory(team=pager.team, user=pager.person("mara"), role=Role.MANAGER)
    pager.policy([schedule], [(TargetKind.MANAGER, pager.team)], repeat=1)
    ana, mara = pager.person("ana"), pager.person("mara")
    email, in_app = ContactMethodFactory(user=ana), ContactMethodFactory(user=ana, channel=Channel.IN_APP)
    NotificationRuleFactory(user=ana, contact_method=email, delay_minutes=3)
    NotificationRuleFactory(user=ana, contact_method=in_app)
    ContactMethodFactory(user=mara, is_enabled=False)
    # Turns change on Mondays: of the two, it is ana's week.
    found = preview(service=pager.service, severity=Severity.CRITICAL, at=SATURDAY)
    assert told(found) == [
        (minutes(0), 0, 0, ["ana"]),
        (minutes(5), 0, 1, ["mara"]),
        (minutes(10), 1, 0, ["ana"]),
        (minutes(15), 1, 1, ["mara"]),
    ]
    [first, second, *_] = [person for step in found.steps for person in step.people]
    assert [(way.channel, way.delay) for way in first.ways] == [
        (Channel.IN_APP, minutes(0)),
        (Channel.EMAIL, minutes(3)),
    ]
    assert (first.in_words, second.ways) == ("at once in the app, after 3 min by email", [])
    assert (found.ends_at, found.managers) == (SATURDAY + minutes(20), [mara])


def test_what_is_foreseen_is_what_happens(pager):
    """The same alert, previewed and then fired, is paged at the same instants."""
    kind = TargetKind.ROUND_ROBIN
    turns = ScheduleFactory(team=pager.team, on_call=[pager.person("ana"), pager.person("bo")])
    pager.policy([(kind, turns)], [ScheduleFactory(team=pager.team)], [(kind, turns), "cy"], repeat=1)
    MaintenanceWindowFactory(
        team=pager.team, starts_at=pager.clock.now + minutes(2), ends_at=pager.clock.now + minutes(7)
    )
    foreseen = preview(service=pager.service, severity=Severity.HIGH, at=pager.clock.now)
    began = pager.clock.now
    incident = pager.fire(severity=Severity.HIGH)
    for _ in range(30):
        pager.wait(minutes=1)
    steps = incident.timeline.filter(kind="step_reached")
    happened = [(e.at - began, e.data["loop"], e.data["step"], e.data["people"]) for e in steps]
    assert happened == [line for line in told(foreseen) if line[3]]
    assert incident.timeline.get(kind="escalation_exhausted").at == foreseen.ends_at


def test_nothing_is_written(pager):
    turns = ScheduleFactory(team=pager.team, on_call=[pager.person("ana")])
    pager.policy([(TargetKind.ROUND_ROBIN, turns)], repeat=3)
    preview(service=pager.service, severity=Severity.CRITICAL, at=SATURDAY)
    for model in (Incident, EscalationRun, Notification, TimelineEntry, RoundRobinTurn):
        assert not model.objects.exists()


def test_rules_hours_and_labels_are_those_of_the_instant(pager):
    night = PolicyFactory(team=pager.team, name="Night", levels=[[pager.person("ana")]])
    other = PolicyFactory(team=pager.team, name="Other", levels=[[pager.person("bo")]])
    hours = {"from": "22:00", "until": "06:00", "weekdays": ["fri"]}
    rule = RoutingRuleFactory(team=pager.team, policy=night, hours=hours, labels={"env": "prod"})
    PagingSettingsFactory(team=pager.team, default_policy=other)

    def chosen(at, **labels):
        found = preview(service=pager.service, severity=Severity.CRITICAL, at=at, labels=labels)
        return found.policy, found.rule

    assert chosen(SATURDAY, env="prod") == (night, rule)
    assert chosen(SATURDAY, env="test") == (other, None)
    assert chosen(SATURDAY + timedelta(days=1), env="prod") == (other, None)


def test_nobody_would_be_paged(pager):
    found = preview(service=pager.service, severity=Severity.LOW, at=SATURDAY)
    assert (found.policy, found.steps, found.ends_at) == (None, [], None)


def test_what_is_not_urgent_is_foreseen_to_wait(pager):
    pager.policy(["ana"])
    PagingSettings.objects.create(
        team=pager.team, low_urgency_waits=True, working_hours={"mon": {"from": "09:00", "until": "17:00"}}
    )
    found = preview(service=pager.service, severity=Severity.LOW, at=SATURDAY)
    monday = datetime(2026, 3, 9, 9, tzinfo=UTC)
    assert [(at, wait.until) for at, wait in found.waits] == [(SATURDAY, monday)]
    assert found.steps[0].at == monday


# The command


def run(*args):
    out = StringIO()
    call_command("preview_escalation", *args, stdout=out)
    return out.getvalue().splitlines()


def test_the_command_tells_it_on_the_teams_clocks(pager):
    pager.team.time_zone = "Europe/Berlin"
    pager.team.save()
    pager.policy(["ana"], [ScheduleFactory(team=pager.team, name="Second line")])
    lines = run(pager.service.name, "--at", "2026-03-07 03:10", "--severity", "high")
    policy = pager.team.escalation_policies.get()
    assert lines == [
        f"{pager.service}, high at Sat 2026-03-07 03:10:00 CET: {policy}, by rule 1 (any service · any severity)",
        "Sat 2026-03-07 03:10:00 CET  round 1, step 1: ana",
        "                           ana: at once in the app and by email",
        "Sat 2026-03-07 03:15:00 CET  round 1, step 2: Second line",
        "                           nobody",
        "Sat 2026-03-07 03:15:00 CET  ends without an answer; told as managers: nobody",
    ]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["Nothing"], "no service"),
        (["01a21302-a592-7eee-96b9-483d4d81d9c1"], "no service"),
        (["Twice"], "say which with --team"),
        (["Twice", "--team", "A", "--at", "soon"], "not a time"),
        (["Twice", "--team", "A", "--at", "2026-13-07 03:10"], "not a time"),
        (["Twice", "--team", "A", "--label", "env"], "not like env=prod"),
    ],
)
def test_the_command_says_what_it_does_not_understand(db, args, words):
    ServiceFactory(name="Twice", team__name="A")
    ServiceFactory(name="Twice", team__name="B")
    with pytest.raises(CommandError, match=words):
        run(*args)


# The API


@pytest.fixture
def cast(db):
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team)
    return cast


def test_members_see_previews(cast):
    path = f"/api/v1/services/{cast.service.pk}/escalation-preview"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.api("observer").get(path).json()["policy"] is None


def test_a_preview_by_the_api(cast):
    policy = PolicyFactory(team=cast.team, levels=[[cast.responder], [cast.manager]], repeat_count=0)
    rule = RoutingRuleFactory(team=cast.team, policy=policy, labels={"env": "prod"})
    path = f"/api/v1/services/{cast.service.pk}/escalation-preview?at=2026-03-07T03:10:00Z&label=env=prod"
    found = cast.api("observer").get(path).json()
    assert (found["policy"], found["rule"], found["severity"]) == (str(policy.pk), str(rule.pk), "critical")
    assert [(s["at"], [p["user"]["name"] for p in s["people"]]) for s in found["steps"]] == [
        ("2026-03-07T03:10:00Z", ["Rui Responder"]),
        ("2026-03-07T03:15:00Z", ["Mara Manager"]),
    ]
    assert found["steps"][0]["people"][0]["ways"] == [
        {"channel": "in_app", "delay_seconds": 0},
        {"channel": "email", "delay_seconds": 0},
    ]
    assert (found["ends_at"], [m["name"] for m in found["managers"]]) == (
        "2026-03-07T03:20:00Z",
        ["Mara Manager"],
    )


def test_waits_by_the_api(cast):
    PagingSettingsFactory(
        team=cast.team, default_policy=PolicyFactory(team=cast.team, levels=[[cast.responder]])
    )
    MaintenanceWindowFactory(team=cast.team, starts_at=SATURDAY, ends_at=SATURDAY + minutes(30))
    path = f"/api/v1/services/{cast.service.pk}/escalation-preview?at=2026-03-07T03:10:00Z"
    assert cast.api("observer").get(path).json()["waits"] == [
        {"at": "2026-03-07T03:10:00Z", "reason": "maintenance", "until": "2026-03-07T03:40:00Z"}
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [("severity=worst", "severity"), ("at=soon", "at"), ("label=env", "label.0")],
)
def test_a_preview_says_what_is_wrong_with_the_question(cast, query, field):
    path = f"/api/v1/services/{cast.service.pk}/escalation-preview?{query}"
    response = cast.api("observer").get(path)
    assert (response.status_code, [e["field"] for e in response.json()["errors"]]) == (400, [field])


def test_upcoming_steps_of_an_incident_come_the_same_way(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    foreseen = preview(service=pager.service, severity=Severity.CRITICAL, at=pager.clock.now)
    assert [(s.at, s.people) for s in engine.upcoming(incident)] == [
        (s.at, [p.user for p in s.people]) for s in foreseen.steps[1:]
    ]
