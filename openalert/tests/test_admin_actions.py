"""What administrators do in the admin besides editing: each by the function that the pages use, asked for before or told
of after, and recorded."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, Integration, IntegrationRule
from alerts.tests.factories import IntegrationFactory, RuleFactory
from escalations.models import EscalationRun
from escalations.tests.factories import PolicyFactory
from incidents.models import Incident
from notifications import outbox
from notifications.enums import NotificationStatus, Purpose
from notifications.exceptions import TooManyTestPages
from notifications.models import Notification
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from openalert.models import AuditEntry
from openalert.tests.admin_pages import messages, page
from teams import oncall
from teams.enums import Role
from teams.exceptions import LayerIsGone
from teams.models import Layer, Schedule, User
from teams.tests.factories import (
    LayerFactory,
    MembershipFactory,
    OverrideFactory,
    ScheduleFactory,
    ServiceFactory,
    TeamFactory,
    UserFactory,
)


def test_test_alert_is_taken_as_any_other(administrator, client):
    integration = IntegrationFactory()
    address = page("alerts_integration_fire_test_alert", integration.pk)
    assert "Fire the test alert" in client.get(address).content.decode()
    assert not Alert.objects.exists()
    first = client.post(address, {"severity": "high"}, follow=True)
    incident = Incident.objects.get()
    assert (incident.service, incident.severity) == (integration.service, "high")
    assert f'href="{reverse("incident", args=[incident.number])}"' in messages(first)
    # The same alert fires again: nobody is paged twice for a button that was pressed twice.
    again = client.post(address, {"severity": "high"}, follow=True)
    assert "fires already" in messages(again)
    assert Alert.objects.get().count == 2
    assert AuditEntry.objects.filter(action="test_alert_fired", actor_id=administrator.pk).count() == 2


def test_test_alert_that_is_not_taken_is_told(administrator, client):
    off = IntegrationFactory(is_enabled=False)
    silent = RuleFactory(conditions=[]).integration
    for integration, words in ((off, "switched off"), (silent, "rules drop the test alert")):
        address = page("alerts_integration_fire_test_alert", integration.pk)
        assert words in messages(client.post(address, {"severity": "low"}, follow=True))
        assert "Select a valid choice" in client.post(address, {"severity": "awful"}).content.decode()
    assert not Alert.objects.exists()


def test_key_is_rotated_and_the_old_one_works_as_long_as_was_said(administrator, client):
    integration = IntegrationFactory()
    old = integration.key_hash
    address = page("alerts_integration_rotate_key", integration.pk)
    assert client.post(address, {"overlap": "3"}).status_code == 200
    response = client.post(address, {"overlap": "24"}, follow=True)
    key = messages(response).partition("<code>")[2].partition("</code>")[0]
    integration.refresh_from_db()
    assert integration.key_hash == Integration.hash_key(key) != old
    assert integration.old_key_hash == old
    assert integration.old_key_until - timezone.now() > timedelta(hours=23)
    assert key not in client.get(page("alerts_integration_change", integration.pk)).content.decode()
    assert AuditEntry.objects.filter(action="secret_shown", object_id=str(integration.pk)).count() == 1


def test_only_dead_letters_are_replayed_and_each_once(administrator, client):
    dead = NotificationFactory(status=NotificationStatus.DEAD)
    sent = NotificationFactory(status=NotificationStatus.SENT)
    chosen = {"action": "replay", "_selected_action": [dead.pk, sent.pk]}
    address = page("notifications_notification_changelist")
    first = client.post(address, chosen, follow=True)
    assert "1 dead letters are sent again" in messages(first)
    assert "1 were left alone" in messages(first)
    assert "0 dead letters are sent again" in messages(client.post(address, chosen, follow=True))
    assert set(Notification.objects.values_list("pk", "status")) == {
        (dead.pk, NotificationStatus.PENDING),
        (sent.pk, NotificationStatus.SENT),
    }
    assert AuditEntry.objects.filter(action="dead_letter_replayed").count() == 1


def test_test_pages_go_to_the_owners_of_methods_that_work(administrator, client):
    method = ContactMethodFactory(verified_at=timezone.now())
    off = ContactMethodFactory(verified_at=timezone.now(), is_enabled=False)
    response = client.post(
        page("notifications_contactmethod_changelist"),
        {"action": "send_test", "_selected_action": [method.pk, off.pk]},
        follow=True,
    )
    assert "1 test pages are on their way" in messages(response)
    assert "This contact method is switched off" in messages(response)
    told = Notification.objects.get()
    assert (told.user, told.contact_method, told.purpose) == (method.user, method, Purpose.TEST)


def test_nobody_is_flooded_with_test_pages_from_the_admin(administrator, client):
    """The limit and the words are those of the person's own page, and count what was sent from there."""
    method, other = (ContactMethodFactory(verified_at=timezone.now()) for _ in range(2))
    for _ in range(outbox.MOST_TESTS_PER_MINUTE):
        outbox.send_test(user=method.user, contact_method=method)
    response = client.post(
        page("notifications_contactmethod_changelist"),
        {"action": "send_test", "_selected_action": [method.pk, other.pk]},
        follow=True,
    )
    assert TooManyTestPages.detail in messages(response)
    assert "1 test pages are on their way" in messages(response)
    assert Notification.objects.filter(user=method.user).count() == outbox.MOST_TESTS_PER_MINUTE
    assert Notification.objects.filter(user=other.user).count() == 1


def test_providers_are_tried_by_ones_own_methods_alone(administrator, client):
    mine = ContactMethodFactory(user=administrator, verified_at=timezone.now())
    ContactMethodFactory(user=administrator, verified_at=timezone.now(), is_enabled=False)
    others = ContactMethodFactory(verified_at=timezone.now())
    address = page("notifications_texts_test")
    shown = client.get(page("notifications_texts"))
    assert [method for _, own in shown.context["ways"] for method in own] == [mine]
    assert client.get(address).status_code == 405
    assert "not yours" in messages(client.post(address, {"method": others.pk}, follow=True))
    assert not Notification.objects.exists()
    assert "a test page is on its way" in messages(client.post(address, {"method": mine.pk}, follow=True))
    told = Notification.objects.get()
    assert (told.user, told.contact_method, told.purpose) == (administrator, mine, Purpose.TEST)
    for _ in range(outbox.MOST_TESTS_PER_MINUTE - 1):
        client.post(address, {"method": mine.pk})
    refused = client.post(address, {"method": mine.pk}, follow=True)
    assert messages(refused).endswith(TooManyTestPages.detail)
    assert Notification.objects.count() == outbox.MOST_TESTS_PER_MINUTE


def turns(*places, **fields):
    """The form of who takes turns: numbers and people, with empty rows after them."""
    given = {"places-TOTAL_FORMS": len(places) + 2, "places-INITIAL_FORMS": 0, **fields}
    for row, (number, person) in enumerate(places):
        given |= {f"places-{row}-place": number, f"places-{row}-user": person.pk}
    return given


def test_people_of_a_layer_are_set_and_what_has_been_stays(administrator, client):
    schedule = ScheduleFactory()
    ana, bo, cy = (
        MembershipFactory(team=schedule.team, user__name=name).user for name in ("ana", "bo", "cy")
    )
    layer = LayerFactory(schedule=schedule, participants=[ana, bo])
    before = timezone.now()
    assert oncall.on_call(schedule, before) == [ana]
    link = page("teams_layer_people", layer.pk)
    assert link in client.get(page("teams_schedule_change", schedule.pk)).content.decode()
    assert [row["user"].initial for row in client.get(link).context["places"]][:3] == [ana.pk, bo.pk, None]
    stranger = client.post(link, turns((1, MembershipFactory().user)))
    assert (stranger.status_code, "Select a valid choice" in stranger.content.decode()) == (422, True)
    done = client.post(link, turns((2, ana), (1, bo), (1, cy)), follow=True)
    assert done.redirect_chain == [(page("teams_schedule_on_call", schedule.pk), 302)]
    schedule = Schedule.objects.get()
    changed = schedule.layers.get(replaced_at=None)
    assert [[user.name for user in place] for place in changed.places] == [["bo", "cy"], ["ana"]]
    assert oncall.on_call(schedule, before) == [ana]
    assert oncall.on_call(schedule, timezone.now()) == [bo, cy]
    # With that, whose turn it is stays: the places are a circle, and begin with theirs.
    client.post(page("teams_layer_people", changed.pk), turns((1, ana), (2, cy), keep_turn="on"))
    last = schedule.layers.get(replaced_at=None)
    assert [[user.name for user in place] for place in last.places] == [["cy"], ["ana"]]
    # What a layer says besides may no longer be taken: then that is told.
    Layer.objects.filter(pk=last.pk).update(holidays_of="DD")
    faulty = client.post(page("teams_layer_people", last.pk), turns((1, ana)))
    assert faulty.status_code == 422
    assert faulty.context["form"].non_field_errors()
    # The page of a version that is over writes nothing.
    stale = client.post(link, turns((1, ana)), follow=True)
    assert LayerIsGone.detail in messages(stale)
    assert schedule.layers.get(replaced_at=None) == last


def rule(*conditions, **fields):
    given = {"name": "Drop tests", "is_enabled": "on", "outcome": "drop"}
    given |= {"conditions-TOTAL_FORMS": len(conditions), "conditions-INITIAL_FORMS": 0, **fields}
    for row, condition in enumerate(conditions):
        given |= {f"conditions-{row}-{name}": value for name, value in condition.items()}
    return given


def test_rule_is_added_to_an_integration_and_comes_last(administrator, client):
    first = RuleFactory(name="first")
    integration = first.integration
    address = page("alerts_integration_add_rule", integration.pk)
    assert address in client.get(page("alerts_integration_change", integration.pk)).content.decode()
    assert client.get(address).status_code == 200
    is_test = {"field": "labels.env", "test": "equals", "value": "test"}
    more = client.post(address, rule(is_test, add="1"))
    assert [row["field"].value() for row in more.context["conditions"]] == ["labels.env", None]
    less = client.post(address, rule(is_test, is_test | {"field": "title"}, remove="0"))
    assert [row["field"].value() for row in less.context["conditions"]] == ["title"]
    faulty = client.post(address, rule({"field": "", "test": "equals", "value": "x"}))
    assert (faulty.status_code, "This field is required" in faulty.content.decode()) == (422, True)
    foreign = rule(is_test, outcome="take", service=ServiceFactory().pk)
    assert client.post(address, foreign).status_code == 422
    assert integration.rules.get() == first
    assert client.post(address, rule(is_test)).status_code == 302
    added = integration.rules.get(name="Drop tests")
    assert (added.position, added.conditions) == (1, [is_test])
    assert added.actions == [{"do": "drop"}]
    assert AuditEntry.objects.filter(object_id=str(added.pk), actor_id=administrator.pk).count() == 1


def test_preview_tells_whom_a_policy_would_page_and_writes_nothing(administrator, client):
    team = TeamFactory(time_zone="UTC")
    ana, bo = (MembershipFactory(team=team, user__name=name).user for name in ("ana", "bo"))
    ContactMethodFactory(user=ana, verified_at=timezone.now())
    schedule = ScheduleFactory(team=team)
    night = timezone.now().replace(hour=3, minute=0, second=0, microsecond=0) + timedelta(days=2)
    OverrideFactory(schedule=schedule, user=bo, starts_at=night, ends_at=night + timedelta(hours=1))
    policy = PolicyFactory(team=team, repeat_count=0, levels=[[ana], [schedule]])
    address = page("escalations_escalationpolicy_preview", policy.pk)
    asked = {"severity": "critical", "at": night.strftime("%Y-%m-%dT%H:%M")}
    found = client.get(address, asked).context["found"]
    assert [[person.user for person in step.people] for step in found.steps] == [[ana], [bo]]
    assert [step.at for step in found.steps] == [night, night + timedelta(minutes=5)]
    now = client.get(address)
    assert [[p.user for p in step.people] for step in now.context["found"].steps] == [[ana], []]
    assert "nobody" in now.content.decode()
    assert client.get(address, {"severity": "awful"}).status_code == 422
    assert not EscalationRun.objects.exists()
    assert not Incident.objects.exists()


def test_schedule_tells_who_is_on_call_and_where_nobody_is(administrator, client):
    schedule = ScheduleFactory(time_zone="Asia/Tokyo")
    ana = MembershipFactory(team=schedule.team, user__name="ana").user
    begins = timezone.now().replace(second=0, microsecond=0) + timedelta(days=1)
    OverrideFactory(schedule=schedule, user=ana, starts_at=begins, ends_at=begins + timedelta(hours=1))
    rows = client.get(page("teams_schedule_on_call", schedule.pk)).context["table"]["rows"]
    assert [row[2] for row in rows] == ["Nobody", "ana", "Nobody"]
    assert rows[1][0].endswith(begins.astimezone(schedule.tzinfo).strftime("%H:%M"))


def test_who_may_only_look_does_nothing(client, db):
    client.force_login(UserFactory(is_auditor=True))
    integration = IntegrationFactory()
    key = integration.key_hash
    dead = NotificationFactory(status=NotificationStatus.DEAD)
    for name in ("rotate_key", "fire_test_alert"):
        address = page(f"alerts_integration_{name}", integration.pk)
        assert client.get(address).status_code == client.post(address, {"severity": "low"}).status_code == 403
    chosen = {"action": "replay", "_selected_action": [dead.pk]}
    client.post(page("notifications_notification_changelist"), chosen)
    method = ContactMethodFactory(verified_at=timezone.now())
    client.post(
        page("notifications_contactmethod_changelist"),
        {"action": "send_test", "_selected_action": [method.pk]},
    )
    client.post(page("notifications_texts_test"), {"method": method.pk})
    assert client.get(page("notifications_texts")).context["may_try"] is False
    layer = LayerFactory(participants=[UserFactory()])
    people = page("teams_layer_people", layer.pk)
    assert people not in client.get(page("teams_schedule_change", layer.schedule_id)).content.decode()
    assert client.get(people).status_code == client.post(people, turns()).status_code == 403
    adding = page("alerts_integration_add_rule", integration.pk)
    assert adding not in client.get(page("alerts_integration_change", integration.pk)).content.decode()
    assert client.get(adding).status_code == client.post(adding, rule()).status_code == 403
    assert client.get(page("escalations_escalationpolicy_preview", PolicyFactory().pk)).status_code == 200
    integration.refresh_from_db()
    dead.refresh_from_db()
    assert integration.key_hash == key
    assert dead.status == NotificationStatus.DEAD
    assert not Alert.objects.exists()
    assert not Notification.objects.filter(purpose=Purpose.TEST).exists()


def test_manager_acts_in_the_own_team_alone(client, db):
    integration, other = IntegrationFactory(), IntegrationFactory()
    manager = MembershipFactory(team=integration.service.team, role=Role.MANAGER).user
    client.force_login(manager)
    layers = [LayerFactory(schedule__team=each.service.team) for each in (integration, other)]
    for each, layer in zip((integration, other), layers, strict=True):
        client.post(page("alerts_integration_fire_test_alert", each.pk), {"severity": "low"})
        client.post(page("alerts_integration_rotate_key", each.pk), {"overlap": "0"})
        client.get(page("teams_schedule_on_call", ScheduleFactory(team=each.service.team).pk))
        client.post(page("teams_layer_people", layer.pk), turns((1, manager)))
        client.post(page("alerts_integration_add_rule", each.pk), rule())
    assert [written.integration for written in IntegrationRule.objects.all()] == [integration]
    taking_turns = User.objects.filter(participations__layer__replaced_at=None)
    assert list(taking_turns.values_list("participations__layer__schedule__team", "pk")) == [
        (integration.service.team_id, manager.pk)
    ]
    assert [alert.integration for alert in Alert.objects.all()] == [integration]
    keys = {
        each: Integration.objects.get(pk=each.pk).key_hash == each.key_hash for each in (integration, other)
    }
    assert keys == {integration: False, other: True}
    assert client.get(page("escalations_escalationpolicy_preview", PolicyFactory().pk)).status_code in (
        302,
        403,
    )
