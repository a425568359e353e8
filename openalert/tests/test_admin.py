"""The admin: every page opens, with as many queries for three rows as for one; records cannot be changed."""

import re
from itertools import chain

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.admin import Integration
from alerts.tests.factories import (
    AlertFactory,
    ChangeFactory,
    HeartbeatFactory,
    IntegrationFactory,
    MaintenanceWindowFactory,
)
from escalations.models import EscalationStep, RoutingRule
from escalations.tests.factories import (
    PagingSettingsFactory,
    PolicyFactory,
    RoutingRuleFactory,
    RunFactory,
    StepFactory,
)
from incidents.enums import ReportKind, Status
from incidents.models import Incident, ResponseSettings, Stakeholder
from incidents.reports import schedules
from incidents.tests.factories import IncidentFactory, TimelineEntryFactory
from notifications.enums import ReplyOutcome
from notifications.models import MailboxMessage, OperationsTeam, ProviderAccount, Reply, SubscriberMail
from notifications.tests.factories import (
    ContactMethodFactory,
    DeliveryAttemptFactory,
    NotificationRuleFactory,
    QuietHoursFactory,
    WebhookDeliveryFactory,
    WebhookFactory,
)
from openalert.admin_tools import RecordAdmin, has_look
from openalert.ids import uuid7
from openalert.tests.admin_pages import messages, page
from teams.models import GroupMapping, Identity, User
from teams.tests.factories import (
    CalendarFactory,
    CalendarFeedFactory,
    HandOverNoteFactory,
    LayerFactory,
    MembershipFactory,
    NoticeFactory,
    OverrideFactory,
    ScheduleFactory,
    ServiceDependencyFactory,
    ServiceFactory,
    ShiftSwapFactory,
    TeamFactory,
    UserFactory,
)


def mail():
    return MailboxMessage.objects.create(recipient="a@example.org", sender="b@example.org", subject="Hello")


def reply():
    page = DeliveryAttemptFactory().notification
    values = {"user": page.user, "incident": page.incident, "outcome": ReplyOutcome.DONE, "key": str(page.pk)}
    return Reply.objects.create(channel="sms", sender="+14155550123", **values)


def policy():
    return PolicyFactory(levels=[[UserFactory()], [ScheduleFactory()]])


def stakeholder():
    return Stakeholder.objects.create(address=f"{uuid7()}@example.org")


def subscriber_mail():
    return SubscriberMail.objects.create(
        key=str(uuid7()), address="a@example.org", stakeholder=stakeholder(), due_at=timezone.now()
    )


MAKERS = {
    "teams_user": lambda: MembershipFactory().user,
    "teams_team": lambda: TeamFactory(managers=[UserFactory()]),
    "teams_membership": MembershipFactory,
    "teams_identity": lambda: Identity.objects.create(
        user=UserFactory(), issuer="https://id.example.org", subject=str(uuid7())
    ),
    "teams_groupmapping": lambda: GroupMapping.objects.create(group="sre", team=TeamFactory()),
    "teams_service": ServiceFactory,
    "teams_servicedependency": ServiceDependencyFactory,
    "teams_schedule": lambda: ScheduleFactory(on_call=[UserFactory()]),
    "teams_layer": lambda: LayerFactory(participants=[UserFactory()]),
    "teams_override": OverrideFactory,
    "teams_calendar": CalendarFactory,
    "teams_shiftswap": ShiftSwapFactory,
    "teams_handovernote": HandOverNoteFactory,
    "teams_calendarfeed": CalendarFeedFactory,
    "teams_notice": NoticeFactory,
    "incidents_reportschedule": lambda: schedules.add(TeamFactory(), ReportKind.DAILY),
    "incidents_incident": IncidentFactory,
    "incidents_timelineentry": TimelineEntryFactory,
    "incidents_responsesettings": lambda: ResponseSettings.objects.create(team=TeamFactory(), roles="Lead"),
    "incidents_stakeholder": stakeholder,
    "alerts_integration": IntegrationFactory,
    "alerts_alert": AlertFactory,
    "alerts_change": ChangeFactory,
    "alerts_heartbeat": HeartbeatFactory,
    "alerts_maintenancewindow": lambda: MaintenanceWindowFactory(services=[ServiceFactory()]),
    "notifications_contactmethod": ContactMethodFactory,
    "notifications_notificationrule": NotificationRuleFactory,
    "notifications_quiethours": QuietHoursFactory,
    "notifications_operationsteam": lambda: OperationsTeam.objects.create(team=TeamFactory()),
    "notifications_provideraccount": lambda: ProviderAccount.objects.create(name=str(uuid7())[-12:]),
    "notifications_notification": lambda: DeliveryAttemptFactory().notification,
    "notifications_deliveryattempt": DeliveryAttemptFactory,
    "notifications_mailboxmessage": mail,
    "notifications_reply": reply,
    "notifications_subscribermail": subscriber_mail,
    "notifications_webhook": WebhookFactory,
    "notifications_webhookdelivery": WebhookDeliveryFactory,
    "escalations_escalationpolicy": policy,
    "escalations_escalationstep": lambda: StepFactory(targets=[UserFactory()]),
    "escalations_routingrule": RoutingRuleFactory,
    "escalations_pagingsettings": PagingSettingsFactory,
    "escalations_escalationrun": RunFactory,
}
OURS = ("teams", "incidents", "alerts", "notifications", "escalations")
# Every team has these: people change them, and switch them off.
MADE_BY_US = {"incidents_reportschedule"}
EDITABLE = [
    name
    for name in MAKERS
    if not any(
        isinstance(page, RecordAdmin)
        for model, page in admin.site._registry.items()
        if f"{model._meta.app_label}_{model._meta.model_name}" == name
    )
]


def test_every_table_of_ours_has_a_page():
    models = {
        f"{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry if m._meta.app_label in OURS
    }
    assert models == set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_list_asks_as_many_queries_for_three_rows_as_for_one(
    administrator, client, name, django_assert_num_queries
):
    MAKERS[name]()
    client.get(page(f"{name}_changelist"))  # fills the caches of content types and filters
    with CaptureQueriesContext(connection) as once:
        assert client.get(page(f"{name}_changelist")).status_code == 200
    MAKERS[name]()
    MAKERS[name]()
    with django_assert_num_queries(len(once)):
        response = client.get(page(f"{name}_changelist"))
    assert len(response.context["cl"].result_list) >= 3


@pytest.mark.parametrize("name", MAKERS)
def test_search_and_the_row_itself_open(administrator, client, name):
    row = MAKERS[name]()
    assert client.get(page(f"{name}_changelist"), {"q": "7 x"}).status_code == 200
    assert client.get(page(f"{name}_change", row.pk)).status_code == 200


@pytest.mark.parametrize("name", MAKERS)
def test_adding_is_for_what_people_configure(administrator, client, name):
    can_be_added = name in EDITABLE and name not in MADE_BY_US
    assert client.get(page(f"{name}_add")).status_code == (200 if can_be_added else 403)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - set(EDITABLE)))
def test_records_cannot_be_changed_or_removed(administrator, client, name):
    row = MAKERS[name]()
    assert client.post(page(f"{name}_change", row.pk), {}).status_code == 403
    assert client.post(page(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403


def test_adding_a_person(administrator, client):
    empty = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    response = client.post(
        page("teams_user_add"),
        {
            "email": "Ana@Example.org",
            "name": "Ana",
            "usable_password": "true",
            "password1": "a lamp in the harbour",
            "password2": "a lamp in the harbour",
            **empty,
        },
    )
    assert response.status_code == 302
    assert User.objects.get(name="Ana").check_password("a lamp in the harbour")


def integration_form(service, **fields):
    return {
        "service": service.pk,
        "name": "Shop",
        "source": "openalert",
        "is_enabled": "on",
        "grouping": "name",
        "grouping_labels": "",
        "grouping_window_minutes": 60,
        "rules-TOTAL_FORMS": 0,
        "rules-INITIAL_FORMS": 0,
        **fields,
    }


def test_key_of_an_integration_is_shown_once_and_can_be_rotated(administrator, client):
    response = client.post(page("alerts_integration_add"), integration_form(ServiceFactory()), follow=True)
    integration = Integration.objects.get()
    first = messages(response).partition("<code>")[2].partition("</code>")[0]
    assert Integration.hash_key(first) == integration.key_hash
    again = client.get(page("alerts_integration_change", integration.pk))
    assert first not in again.content.decode()
    rotate = page("alerts_integration_rotate_key", integration.pk)
    assert client.get(rotate).status_code == 200
    response = client.post(rotate, follow=True)
    integration.refresh_from_db()
    second = messages(response).partition("<code>")[2].partition("</code>")[0]
    assert Integration.hash_key(second) == integration.key_hash != Integration.hash_key(first)


def test_saving_an_integration_keeps_its_key(administrator, client):
    integration = IntegrationFactory()
    form = integration_form(integration.service, name="Renamed")
    assert client.post(page("alerts_integration_change", integration.pk), form).status_code == 302
    integration.refresh_from_db()
    assert (integration.name, integration.key_hash) == ("Renamed", Integration.hash_key(integration.key))


def test_answering_incidents(administrator, client):
    incidents = [IncidentFactory(), IncidentFactory(status=Status.RESOLVED)]
    response = client.post(
        page("incidents_incident_changelist"),
        {"action": "acknowledge", "_selected_action": [i.pk for i in incidents]},
        follow=True,
    )
    assert "1 incidents: acknowledged." in messages(response)
    assert "is resolved: it cannot become acknowledged" in messages(response)
    assert Incident.objects.get(pk=incidents[0].pk).acknowledged_by == administrator


def test_rule_without_a_position_comes_last(administrator, client):
    rule = RoutingRuleFactory()
    response = client.post(
        page("escalations_routingrule_add"),
        {"team": rule.team.pk, "position": "", "severities": ["critical"], "policy": rule.policy.pk},
    )
    assert response.status_code == 302
    assert list(RoutingRule.objects.order_by("position").values_list("position", "severities")) == [
        (0, []),
        (1, ["critical"]),
    ]


def test_target_must_be_of_its_kind(administrator, client):
    step = StepFactory()
    form = {
        "policy": step.policy.pk,
        "position": 0,
        "delay_seconds": 300,
        "targets-TOTAL_FORMS": 1,
        "targets-INITIAL_FORMS": 0,
        "targets-0-kind": "schedule",
        "targets-0-user": UserFactory().pk,
    }
    response = client.post(page("escalations_escalationstep_change", step.pk), form)
    assert "Choose exactly one target" in response.content.decode()
    assert EscalationStep.objects.get().targets.count() == 0


def test_admin_is_for_administrators_only(client, db):
    client.force_login(UserFactory())
    assert client.get(page("index")).status_code == 302


def test_a_person_gets_another_password_or_none(administrator, client):
    person = UserFactory()
    person.set_password("a lamp in the harbour")
    person.save()
    path = page("auth_user_password_change", person.pk)
    shown = client.get(path).text
    fields = set(re.findall(r'<(?:input|button)\b[^>]*\bname="([a-z0-9-_]+)"', shown))
    assert fields >= {"usable_password", "password1", "password2", "set-password", "unset-password"}
    given = {"usable_password": "true", "password1": "a boat in the harbour", "set-password": ""}
    assert "fields didn’t match" in client.post(path, given | {"password2": "a boat in the harbor"}).text
    assert client.post(path, given | {"password2": given["password1"]}).status_code == 302
    person.refresh_from_db()
    assert person.check_password(given["password1"])
    taken = {"usable_password": "false", "password1": "", "password2": "", "unset-password": ""}
    assert client.post(path, taken).status_code == 302
    person.refresh_from_db()
    assert not person.has_usable_password()
    again = client.get(path).text
    assert 'name="set-password"' in again and 'name="unset-password"' not in again


def forms_of(response):
    yield response.context["adminform"].form
    for formset in response.context["inline_admin_formsets"]:
        yield from [*formset.formset.forms, formset.formset.empty_form]


@pytest.mark.parametrize("name", EDITABLE)
def test_every_field_has_the_same_look(administrator, client, name):
    """Fields that a form declares itself, too."""
    row = MAKERS[name]()
    found = [forms_of(client.get(page(f"{name}_change", row.pk)))]
    if name not in MADE_BY_US:
        found.append(forms_of(client.get(page(f"{name}_add"))))
    plain = {
        (type(form).__name__, field_name, type(field.widget).__name__)
        for form in chain.from_iterable(found)
        for field_name, field in form.fields.items()
        if field_name != "DELETE" and not has_look(field.widget)  # Unfold's template dresses that one
    }
    assert plain == set()
