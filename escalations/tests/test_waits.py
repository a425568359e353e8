"""Nobody is paged in a maintenance window, nor at night for what is not urgent."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts import maintenance
from escalations import engine, team_settings
from escalations.enums import WaitReason
from escalations.models import EscalationRun, PagingSettings
from escalations.waits import Waits
from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity, Urgency
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from notifications.models import Notification, NotificationRule
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory
from teams.tests.factories import ServiceFactory

WEEK = {day: {"from": "09:00", "until": "17:00"} for day in ("mon", "tue", "wed", "thu", "fri")}


def window(pager, *, begins=0, minutes=60, services=(), title="Database upgrade", **given):
    starts_at = pager.clock.now + timedelta(minutes=begins)
    return maintenance.add_window(
        team=pager.team,
        title=title,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=minutes),
        services=services,
        by=None,
        **given,
    )


def told(pager, incident):
    return [timeline.sentence(entry) for entry in incident.timeline.filter(kind=Kind.PAGING_WAITS)]


def test_a_window_opens_incidents_and_pages_at_its_end(pager):
    pager.policy(["ana"])
    window(pager)
    incident = pager.fire()
    run = incident.escalation_runs.get()
    assert (pager.paged(incident), run.due_at) == ([], pager.clock.now + timedelta(hours=1))
    assert (run.waits_for, run.waits_until) == (WaitReason.MAINTENANCE, run.due_at)
    assert told(pager, incident) == [
        "In maintenance (Database upgrade): nobody is paged until 2 Mar 13:00 UTC"
    ]
    pager.wait(minutes=59, seconds=59)
    assert pager.paged(incident) == []
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana"]
    run.refresh_from_db()
    assert (run.waits_for, run.waits_until) == ("", None)


def test_what_ends_in_the_window_pages_nobody(pager):
    pager.policy(["ana"])
    window(pager)
    incident = pager.fire()
    pager.end()
    pager.wait(hours=2)
    assert pager.paged(incident) == []


def test_a_window_is_about_its_services_or_all_of_the_teams(pager):
    pager.policy(["ana"])
    other = ServiceFactory(team=pager.team)
    named = window(pager, services=[other])
    window(pager)
    foreign = ServiceFactory()
    maintenance.add_window(
        team=foreign.team,
        title="x",
        starts_at=pager.clock.now,
        ends_at=pager.clock.now + timedelta(hours=9),
        by=None,
    )
    assert pager.paged(pager.fire()) == []
    maintenance.cancel_window(pager.team.maintenance_windows.exclude(pk=named.pk).get().pk)
    pager.integration.grouping = "none"
    assert pager.paged(pager.fire("2")) == ["ana"]


def test_a_window_that_begins_while_paging_goes_on_stops_the_next_step(pager):
    pager.policy(["ana"], ["bo"])
    incident = pager.fire()
    window(pager, begins=3, minutes=10)
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana"]
    pager.wait(minutes=7, seconds=59)
    assert pager.paged(incident) == ["ana"]
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana", "bo"]


def test_a_window_that_is_cancelled_or_shortened_lets_paging_go_on(pager):
    pager.policy(["ana"])
    pager.integration.grouping = "none"
    first = window(pager)
    incident = pager.fire()
    maintenance.change_window(first.pk, ends_at=pager.clock.now + timedelta(minutes=30))
    pager.work()
    assert pager.paged(incident) == []
    assert len(told(pager, incident)) == 2
    pager.wait(minutes=29, seconds=59)
    assert pager.paged(incident) == []
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana"]

    second = window(pager)
    incident = pager.fire("2")
    pager.wait(minutes=1)
    maintenance.cancel_window(second.pk)
    pager.work()
    assert pager.paged(incident) == ["ana"]
    second.refresh_from_db()
    assert second.ends_at == pager.clock.now


def test_a_window_that_is_made_longer_goes_on_waiting(pager):
    pager.policy(["ana"])
    first = window(pager)
    incident = pager.fire()
    maintenance.change_window(first.pk, ends_at=pager.clock.now + timedelta(hours=2))
    for _ in range(3):
        pager.work()
    pager.wait(minutes=119)
    assert pager.paged(incident) == []
    pager.wait(minutes=1)
    assert (pager.paged(incident), len(told(pager, incident))) == (["ana"], 2)


def test_a_window_that_is_about_other_services_now_lets_paging_go_on(pager):
    pager.policy(["ana"])
    first = window(pager)
    incident = pager.fire()
    maintenance.change_window(first.pk, services=[ServiceFactory(team=pager.team)])
    pager.work()
    assert pager.paged(incident) == ["ana"]


def test_windows_in_a_row_are_waited_for_together(pager):
    pager.policy(["ana"])
    window(pager, minutes=60)
    window(pager, begins=60, minutes=30)
    incident = pager.fire()
    assert incident.escalation_runs.get().due_at == pager.clock.now + timedelta(minutes=90)


def test_a_person_who_escalates_or_reassigns_does_not_wait(pager):
    pager.policy(["ana"], ["bo"])
    window(pager)
    incident = pager.fire()
    engine.escalate_now(incident_id=incident.pk, actor=pager.acting("bo"))
    pager.work()
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo"]
    pager.clock.advance(seconds=1)
    engine.reassign(incident_id=incident.pk, actor=pager.acting("bo"), user=pager.person("cy"))
    pager.work()
    assert pager.paged(incident) == ["ana", "bo", "cy"]


def works(pager, **fields):
    """The team works from nine to five in Berlin, and low urgency waits for it."""
    return team_settings.write(
        PagingSettings(
            team=pager.team,
            **{
                "low_urgency_waits": True,
                "working_hours": WEEK,
                "time_zone": "Europe/Berlin",
                **fields,
            },
        )
    )


FRIDAY_EVENING = datetime(
    2026, 3, 27, 16, 0, tzinfo=UTC
)  # 17:00 in Berlin, two days before its clocks change
MONDAY_MORNING = datetime(2026, 3, 30, 7, 0, tzinfo=UTC)


def test_low_urgency_waits_for_working_hours_across_a_change_of_the_clocks(pager):
    pager.policy(["ana"])
    works(pager)
    pager.clock.set(FRIDAY_EVENING)
    incident = pager.fire(severity=Severity.MEDIUM)
    run = incident.escalation_runs.get()
    assert (run.waits_for, run.due_at) == (WaitReason.WORKING_HOURS, MONDAY_MORNING)
    assert told(pager, incident) == [
        "It is not urgent: nobody is paged until the working hours begin, 30 Mar 07:00 UTC"
    ]
    pager.clock.set(MONDAY_MORNING)
    pager.work()
    assert pager.paged(incident) == ["ana"]


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.HIGH])
def test_what_is_urgent_does_not_wait(pager, severity):
    pager.policy(["ana"])
    works(pager)
    pager.clock.set(FRIDAY_EVENING)
    assert pager.paged(pager.fire(severity=severity)) == ["ana"]


def test_waiting_is_off_until_it_is_switched_on(pager):
    pager.policy(["ana"])
    works(pager, low_urgency_waits=False)
    pager.clock.set(FRIDAY_EVENING)
    assert pager.paged(pager.fire(severity=Severity.LOW)) == ["ana"]


def test_a_later_step_waits_for_the_morning_too(pager):
    pager.policy(["ana"], ["bo"], delay=timedelta(minutes=30))
    works(pager)
    pager.clock.set(FRIDAY_EVENING - timedelta(minutes=10))
    incident = pager.fire(severity=Severity.LOW)
    pager.wait(minutes=30)
    assert pager.paged(incident) == ["ana"]
    pager.clock.set(MONDAY_MORNING)
    pager.work()
    assert pager.paged(incident) == ["ana", "bo"]


def test_what_gets_urgent_stops_waiting(pager):
    pager.policy(["ana"])
    works(pager)
    pager.clock.set(FRIDAY_EVENING)
    incident = pager.fire(severity=Severity.LOW)
    lifecycle.change_severity(incident_id=incident.pk, severity=Severity.HIGH, actor=SYSTEM)
    pager.work()
    assert pager.paged(incident) == ["ana"]


def test_other_working_hours_are_heeded_at_once(pager):
    pager.policy(["ana"])
    settings = works(pager)
    pager.clock.set(FRIDAY_EVENING)
    incident = pager.fire(severity=Severity.LOW)
    settings.working_hours = {**WEEK, "fri": {"from": "09:00", "until": "20:00"}}
    team_settings.write(settings)
    pager.work()
    assert pager.paged(incident) == ["ana"]


def test_a_window_at_the_end_of_which_nobody_works_waits_for_the_morning(pager):
    pager.policy(["ana"])
    works(pager)
    pager.clock.set(FRIDAY_EVENING - timedelta(minutes=30))
    window(pager)
    incident = pager.fire(severity=Severity.LOW)
    run = incident.escalation_runs.get()
    assert (run.waits_for, run.due_at) == (WaitReason.MAINTENANCE, MONDAY_MORNING)


def test_waiting_looks_the_same_in_what_is_upcoming(pager):
    pager.policy(["ana"], ["bo"])
    window(pager)
    incident = pager.fire()
    end = pager.clock.now + timedelta(hours=1)
    assert [(s.at, [p.name for p in s.people]) for s in engine.upcoming(incident)] == [
        (end, ["ana"]),
        (end + timedelta(minutes=5), ["bo"]),
    ]
    assert EscalationRun.objects.get().step == 0


EU = [
    {"test": "equals", "field": "labels.cluster", "value": "eu-1"},
    {"test": "matches", "field": "labels.host", "pattern": "^db-"},
]


def test_a_window_about_labels_keeps_quiet_what_has_all_of_them(pager):
    pager.policy(["ana"])
    pager.integration.grouping = "none"
    window(pager, conditions=EU)
    quiet = pager.fire("1", labels={"cluster": "eu-1", "host": "db-7"})
    half = pager.fire("2", labels={"cluster": "eu-1", "host": "web-1"})
    none = pager.fire("3")
    assert [pager.paged(incident) for incident in (quiet, half, none)] == [[], ["ana"], ["ana"]]
    pager.wait(minutes=59, seconds=59)
    assert pager.paged(quiet) == []
    assert len(told(pager, quiet)) == 1  # however often it was looked at
    pager.wait(seconds=1)
    assert pager.paged(quiet) == ["ana"]


def test_what_fires_beside_the_labels_of_a_window_pages_soon(pager):
    pager.policy(["ana"])
    pager.integration.grouping = "all"
    window(pager, conditions=EU)
    incident = pager.fire("1", labels={"cluster": "eu-1", "host": "db-7"})
    assert pager.fire("2", labels={"cluster": "us-1"}) == incident
    pager.wait(seconds=9)
    assert pager.paged(incident) == []
    pager.wait(seconds=1)
    assert pager.paged(incident) == ["ana"]


def test_an_incident_that_no_alert_opened_is_in_no_window_about_labels(pager):
    pager.policy(["ana"])
    window(pager, conditions=EU)
    incident = IncidentFactory.build(service=pager.service)
    lifecycle.open_incidents([incident], actor=SYSTEM)
    pager.work()
    assert pager.paged(incident) == ["ana"]


def test_labels_are_read_in_one_query_and_only_for_a_window_about_them(pager, django_assert_num_queries):
    pager.policy(["ana"])
    pager.integration.grouping = "none"
    incidents = [pager.fire(str(n), labels={"cluster": "eu-1", "host": f"db-{n}"}) for n in range(3)]
    incidents = list(
        Incident.objects.filter(pk__in=[i.pk for i in incidents]).select_related("service__team")
    )
    window(pager, services=[ServiceFactory(team=pager.team)])
    with django_assert_num_queries(3):  # the team's hours, windows and their services
        Waits(incidents, at=pager.clock.now)
    window(pager, conditions=EU)
    for some in (incidents[:1], incidents):
        with django_assert_num_queries(4):
            waits = Waits(some, at=pager.clock.now)
        assert all(waits.of(incident, at=pager.clock.now) for incident in some)


def test_low_urgency_pages_by_the_rules_for_it_and_says_so(pager):
    pager.policy(["ana"], ["bo"])
    ana = pager.person("ana")
    loud, quiet = (ContactMethodFactory(user=ana) for _ in range(2))
    NotificationRule.objects.filter(user=ana).delete()
    NotificationRuleFactory(user=ana, contact_method=loud, urgency=Urgency.HIGH)
    NotificationRuleFactory(user=ana, contact_method=quiet, urgency=Urgency.LOW)
    window(pager, minutes=4, mode="low_urgency")
    incident = pager.fire()
    page = Notification.objects.get(incident=incident)
    assert (page.contact_method, page.priority) == (quiet, Severity.MEDIUM.rank)
    [entry] = incident.timeline.filter(kind=Kind.STEP_REACHED)
    assert timeline.sentence(entry) == (
        "Step 1: paging ana, with low urgency: in maintenance (Database upgrade)"
    )
    pager.wait(minutes=5)
    assert pager.paged(incident) == ["ana", "bo"]
    assert Notification.objects.filter(incident=incident).latest("created_at").priority == 0


def test_low_urgency_waits_for_the_working_hours_but_not_beyond_the_window(pager):
    pager.policy(["ana"])
    team_settings.write(PagingSettings(team=pager.team, low_urgency_waits=True, working_hours=WEEK))
    pager.clock.advance(hours=6)  # Monday, 18:00
    shown = window(pager, minutes=120, mode="low_urgency")
    incident = pager.fire()
    run = incident.escalation_runs.get()
    assert (pager.paged(incident), run.due_at) == ([], shown.ends_at)
    assert told(pager, incident) == [
        "In maintenance (Database upgrade, low urgency): nobody is paged until 2 Mar 20:00 UTC"
    ]
    pager.wait(hours=2)
    assert pager.paged(incident) == ["ana"]
