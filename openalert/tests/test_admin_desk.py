"""The admin's first page tells what needs mending and where, and its menu what there is: to each what they may see."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from alerts.tests.factories import AlertFactory, IntegrationFactory
from escalations.models import EscalationPolicy
from escalations.tests.factories import PagingSettingsFactory, PolicyFactory
from incidents.tests.factories import IncidentFactory
from notifications.enums import Channel, NotificationStatus
from notifications.models import ProviderAccount
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from openalert.admin_menu import MENU
from teams.tests.factories import (
    MembershipFactory,
    ScheduleFactory,
    ServiceFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

INDEX = "/admin/"
# Lists that are in no menu, and why.
NOT_IN_MENU = {
    "django_celery_beat.clockedschedule": "no task of ours runs once at an instant",
    "django_celery_beat.solarschedule": "no task of ours goes by the sun",
    "token_blacklist.blacklistedtoken": "by ids nobody can read; signing somebody out is on their page",
    "token_blacklist.outstandingtoken": "the same",
}
COVERAGE = "On-call schedules, the next 14 days"
POLICIES = "Escalation policies that reach nobody now"
SERVICES = "Services without a policy or an integration"
PEOPLE = "People who cannot be paged"
DEAD = "Dead letters"
CHANNELS = "Channels that fail"
SILENT = "Integrations that wait for their first alert"


@pytest.fixture
def manager(client):
    """Signs in somebody who manages the team."""

    def sign_in(team):
        user = MembershipFactory(team=team, role="manager").user
        client.force_login(user)
        return user

    return sign_in


def told(client):
    """By title what is to be mended, as (words, address); and the titles of what is fine."""
    response = client.get(INDEX)
    assert response.status_code == 200
    matters = response.context["open_matters"]
    for matter in matters:
        assert all(f'href="{address}"' in response.text for _, address in matter.lines)
    fine = [matter.title for matter in response.context["fine_matters"]]
    return {matter.title: matter.lines for matter in matters}, fine


def everything_well():
    """A team as it should be."""
    person = MembershipFactory(role="responder").user
    ContactMethodFactory(user=person, channel=Channel.IN_APP, address="")
    team = person.memberships.get().team
    service = ServiceFactory(team=team)
    AlertFactory(integration=IntegrationFactory(service=service), incident=IncidentFactory(service=service))
    policy = PolicyFactory(team=team, levels=[[person]])
    PagingSettingsFactory(team=team, default_policy=policy)
    ScheduleFactory(team=team, on_call=[person])
    return person, team, service


def mess():
    """One of everything that is to be mended."""
    person, team, service = everything_well()
    person.contact_methods.update(broken_at=timezone.now())
    schedule = ScheduleFactory(team=team)
    lone = ServiceFactory()
    waiting = IntegrationFactory(service=service)
    policy = EscalationPolicy.objects.create(team=team, name="Nobody")
    letter = NotificationFactory(incident=IncidentFactory(service=service))
    letter.status, letter.last_error = NotificationStatus.DEAD, "The number is gone."
    letter.save()
    ProviderAccount.objects.update_or_create(
        name="smtp", defaults={"failures": 3, "last_error": "451 It is down."}
    )
    return person, schedule, lone, waiting, policy


def test_an_installation_as_it_should_be_has_nothing_to_mend(administrator, client):
    everything_well()
    found, fine = told(client)
    assert (found, fine) == ({}, [COVERAGE, POLICIES, SERVICES, PEOPLE, DEAD, CHANNELS, SILENT])
    assert "Nothing needs mending" in client.get(INDEX).text


def test_an_empty_installation_is_not_called_well(administrator, client):
    found, _ = told(client)
    assert found[SERVICES] == [("There is no service yet, so nobody is paged", reverse("first-steps"))]
    assert "Nothing needs mending" not in client.get(INDEX).text


def test_managers_without_a_service_are_led_to_where_they_make_one(manager, client):
    manager(TeamFactory())
    ServiceFactory()  # another team's
    found, _ = told(client)
    assert [address for _, address in found[SERVICES]] == [reverse("admin:teams_service_changelist")]


def test_it_tells_what_needs_mending_and_where(administrator, client, django_assert_num_queries):
    person, schedule, lone, waiting, policy = mess()
    with CaptureQueriesContext(connection) as once:
        found, fine = told(client)
    count = len(once)
    assert fine == []
    assert "7 of 7 checks found something to mend." in client.get(INDEX).text
    [(words, address)] = found[COVERAGE]
    assert "Nobody is on call" in words and address == reverse("schedule", args=[schedule.pk])
    assert found[POLICIES] == [
        (f"Nobody ({policy.team})", reverse("admin:escalations_escalationpolicy_change", args=[policy.pk]))
    ]
    assert found[SERVICES] == [
        (
            f"{lone}: no policy is in charge, and no integration is switched on",
            reverse("service", args=[lone.pk]),
        )
    ]
    methods = reverse("admin:notifications_contactmethod_changelist")
    assert found[PEOPLE] == [(f"{person}, {person.email}", f"{methods}?user__id__exact={person.pk}")]
    [(words, address)] = found[DEAD]
    assert words.endswith("The number is gone.") and address == reverse("dead-letters")
    [(words, address)] = found[CHANNELS]
    assert "Failed 3 times in a row. 451 It is down." in words and address == reverse("queues")
    assert found[SILENT] == [(str(waiting), reverse("admin:alerts_integration_change", args=[waiting.pk]))]
    for _, address in (line for lines in found.values() for line in lines):
        assert client.get(address).status_code == 200
    mess()
    with django_assert_num_queries(count):
        again, _ = told(client)
    assert {title: len(lines) for title, lines in again.items()} == {
        title: 1 if title == CHANNELS else 2 for title in found
    }


def test_gaps_after_two_weeks_are_not_told_yet(administrator, client):
    _, team, _ = everything_well()
    ends = timezone.now() + timedelta(days=16)
    schedule = ScheduleFactory(team=team, on_call=[MembershipFactory(team=team, role="responder").user])
    schedule.layers.update(ends_at=ends)
    assert COVERAGE in told(client)[1]
    schedule.layers.update(ends_at=ends - timedelta(days=3))
    assert "Nobody is on call" in told(client)[0][COVERAGE][0][0]


def test_a_channel_that_is_off_is_told_once_somebody_has_chosen_it(administrator, client):
    ContactMethodFactory(channel=Channel.SMS, address="+15005550006", verified_at=timezone.now())
    [(words, address)] = told(client)[0][CHANNELS]
    assert words.startswith("SMS: 1 contact method is of a channel that is off. Set TWILIO_ACCOUNT_SID")
    assert address == reverse("admin:notifications_texts")


def test_managers_are_told_of_their_own_teams(manager, client):
    _, schedule, lone, waiting, policy = mess()
    mess()
    manager(schedule.team)
    found, fine = told(client)
    assert (set(found), fine) == ({COVERAGE, POLICIES, PEOPLE, SILENT, DEAD}, [SERVICES])
    assert {len(lines) for lines in found.values()} == {1}
    assert found[POLICIES][0][0] == f"Nobody ({policy.team})"
    assert found[SILENT][0][0] == str(waiting)
    for _, address in (line for lines in found.values() for line in lines):
        assert client.get(address).status_code == 200, address
    manager(lone.team)
    assert set(told(client)[0]) == {SERVICES}


def test_auditors_are_told_of_everything(client):
    mess()
    client.force_login(UserFactory(is_auditor=True))
    found, fine = told(client)
    assert (set(found), fine) == ({COVERAGE, POLICIES, SERVICES, PEOPLE, DEAD, CHANNELS, SILENT}, [])
    for _, address in (line for lines in found.values() for line in lines):
        assert client.get(address).status_code == 200, address


def test_first_ones_are_told_and_how_many_there_are(administrator, client):
    for number in range(10):
        EscalationPolicy.objects.create(team=TeamFactory(), name=f"Nobody {number}")
    page = client.get(INDEX)
    [matter] = [m for m in page.context["open_matters"] if m.title == POLICIES]
    assert (len(matter.lines), matter.count) == (8, 10)
    assert "See all 10" in page.text


def menu_of(client):
    response = client.get(INDEX)
    return {
        group["title"]: [(item["title"], str(item["link"])) for item in group["items"]]
        for group in response.context["sidebar_navigation"]
    }


def test_every_list_is_in_the_menu_by_its_own_name_or_left_out_for_a_reason(administrator, client):
    in_menu = [label for rows in MENU.values() for label in rows]
    registered = {model._meta.label_lower for model in admin.site._registry}
    assert sorted([*in_menu, *NOT_IN_MENU]) == sorted(registered)
    menu = menu_of(client)
    assert list(menu) == list(MENU)
    for title, link in (row for rows in menu.values() for row in rows):
        response = client.get(link)
        assert response.status_code == 200
        assert response.context["cl"].opts.verbose_name_plural.lower() == title.lower()


def test_menu_shows_only_what_the_person_may_see(manager, client):
    manager(TeamFactory())
    menu = {heading: [title for title, _ in rows] for heading, rows in menu_of(client).items()}
    assert menu["People"] == ["Users", "Teams", "Memberships"]
    assert "Machinery" not in menu and "Contact methods" not in menu["Paging"]
