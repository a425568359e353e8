"""Who may do what in the admin: every role with every registered model, as a table; and what the table cannot say."""

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import RequestFactory
from django.urls import resolve, reverse
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from alerts.models import Integration
from alerts.tests.factories import IntegrationFactory
from incidents.models import ResponseSettings
from incidents.tests.factories import IncidentFactory
from notifications.models import MailboxMessage
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory, WebhookFactory
from openalert import admin_roles
from openalert.models import AuditEntry
from openalert.tests.test_admin import MAKERS
from teams.enums import Role
from teams.models import Membership, Service, User
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

ROLES = ("administrator", "auditor", "manager", "other manager", "responder")
# By model, for each of ROLES what it may: list, view, add, change, delete. Managers are of the row's team, other managers of another one: the list
# opens for these too, without the row, and they add rows of their own.
TABLE = """
alerts.alert                        lv     lv  lv     l   -
alerts.change                       lv     lv  lv     l   -
alerts.heartbeat                    lvacd  lv  lvacd  la  -
alerts.integration                  lvacd  lv  lvacd  la  -
alerts.maintenancewindow            lvacd  lv  lvacd  la  -
django_celery_beat.clockedschedule  lvacd  lv  -      -   -
django_celery_beat.crontabschedule  lvacd  lv  -      -   -
django_celery_beat.intervalschedule lvacd  lv  -      -   -
django_celery_beat.periodictask     lvacd  lv  -      -   -
django_celery_beat.solarschedule    lvacd  lv  -      -   -
escalations.escalationpolicy        lvacd  lv  lvacd  la  -
escalations.escalationrun           lv     lv  lv     l   -
escalations.escalationstep          lvacd  lv  lvacd  la  -
escalations.pagingsettings          lvacd  lv  lvacd  la  -
escalations.routingrule             lvacd  lv  lvacd  la  -
incidents.incident                  lv     lv  lv     l   -
incidents.reportschedule            lvc    lv  lvc    l   -
incidents.responsesettings          lvacd  lv  lvacd  la  -
incidents.stakeholder               lv     lv  -      -   -
incidents.timelineentry             lv     lv  lv     l   -
notifications.contactmethod         lvacd  lv  -      -   -
notifications.deliveryattempt       lv     lv  lv     l   -
notifications.mailboxmessage        lv     lv  -      -   -
notifications.notification          lv     lv  lv     l   -
notifications.notificationrule      lvacd  lv  -      -   -
notifications.operationsteam        lvacd  lv  -      -   -
notifications.provideraccount       lv     lv  -      -   -
notifications.quiethours            lvacd  lv  -      -   -
notifications.reply                 lv     lv  -      -   -
notifications.subscribermail        lv     lv  -      -   -
notifications.webhook               lvacd  lv  lvacd  la  -
notifications.webhookdelivery       lv     lv  lv     l   -
teams.calendar                      lv     lv  lv     l   -
teams.calendarfeed                  lv     lv  -      -   -
teams.groupmapping                  lvacd  lv  -      -   -
teams.handovernote                  lv     lv  lv     l   -
teams.identity                      lvacd  lv  -      -   -
teams.layer                         lv     lv  lv     l   -
teams.membership                    lvacd  lv  lvacd  la  -
teams.notice                        lv     lv  -      -   -
teams.override                      lv     lv  lv     l   -
teams.schedule                      lvacd  lv  lvacd  la  -
teams.service                       lvacd  lv  lvacd  la  -
teams.servicedependency             lvacd  lv  lvacd  la  -
teams.shiftswap                     lv     lv  lv     l   -
teams.team                          lvacd  lv  lvc    l   -
teams.user                          lvacd  lv  lv     l   -
token_blacklist.blacklistedtoken    lvacd  lv  -      -   -
token_blacklist.outstandingtoken    lv     lv  -      -   -
"""
EXPECTED = {
    line.split()[0]: dict(zip(ROLES, line.split()[1:], strict=True)) for line in TABLE.split("\n") if line
}


def outstanding_token():
    user = UserFactory()
    token = RefreshToken.for_user(user)
    return OutstandingToken.objects.get(jti=token["jti"])


MAKERS_OF_OTHERS = {
    "django_celery_beat_clockedschedule": lambda: ClockedSchedule.objects.create(clocked_time=timezone.now()),
    "django_celery_beat_crontabschedule": lambda: CrontabSchedule.objects.create(minute="7"),
    "django_celery_beat_intervalschedule": lambda: IntervalSchedule.objects.create(every=7, period="hours"),
    "django_celery_beat_periodictask": lambda: PeriodicTask.objects.create(
        name="x", task="x", interval=IntervalSchedule.objects.create(every=9, period="hours")
    ),
    "django_celery_beat_solarschedule": lambda: SolarSchedule.objects.create(
        event="sunset", latitude=1, longitude=1
    ),
    "token_blacklist_blacklistedtoken": lambda: BlacklistedToken.objects.create(token=outstanding_token()),
    "token_blacklist_outstandingtoken": outstanding_token,
}


def ask(user, path, data=None):
    """What the address answers, unrendered; None where it refuses, or leads away from."""
    factory = RequestFactory()
    request = factory.get(path) if data is None else factory.post(path, data)
    request.user, request.session = User.objects.get(pk=user.pk), SessionStore()
    request._messages, request._dont_enforce_csrf_checks = FallbackStorage(request), True
    request.resolver_match = match = resolve(request.path)
    try:
        response = match.func(request, *match.args, **match.kwargs)
    except (PermissionDenied, Http404):
        return None
    return response if response.status_code == 200 else None


def page(row_or_model, what, *args):
    meta = row_or_model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{what}", args=args)


def team_of(row):
    if isinstance(row, User):
        return row.teams.get()
    for step in filter(None, admin_roles.line_of(type(row)).team.split("__")):
        row = getattr(row, step)
    return row


def manager_of(team):
    user = UserFactory()
    Membership.objects.create(team=team, user=user, role=Role.MANAGER)
    return user


def what_may(user, row):
    """The letters of what `user` may, as in TABLE."""
    found = ""
    listed = ask(user, page(row, "changelist"))
    if listed is not None:
        found += "l"
        rows = listed.context_data["cl"].queryset
        assert rows.filter(pk=row.pk).exists() == bool(ask(user, page(row, "change", row.pk)))
    seen = ask(user, page(row, "change", row.pk))
    found += "v" if seen else ""
    found += "a" if ask(user, page(row, "add")) else ""
    if seen and seen.context_data["has_change_permission"]:
        found += "c"
    else:
        before = type(row).objects.filter(pk=row.pk).values().get()
        assert ask(user, page(row, "change", row.pk), {}) is None
        assert type(row).objects.filter(pk=row.pk).values().get() == before
    found += "d" if ask(user, page(row, "delete", row.pk)) else ""
    return found or "-"


def test_every_model_has_a_line_here_and_there():
    registered = {model._meta.label_lower for model in admin.site._registry}
    assert registered == set(EXPECTED) == set(admin_roles.TABLE)


@pytest.mark.parametrize("label", EXPECTED)
def test_each_role_may_what_the_table_says(label):
    row = (MAKERS | MAKERS_OF_OTHERS)[label.replace(".", "_")]()
    is_teams = bool(admin_roles.TABLE[label].may)
    team = team_of(row) if is_teams else TeamFactory()
    people = {
        "administrator": UserFactory(is_superuser=True, is_staff=True),
        "auditor": UserFactory(is_auditor=True),
        "manager": manager_of(team),
        "other manager": manager_of(TeamFactory()),
        # What Django would let in, and let do: that is not asked any more.
        "responder": TeamFactory(responders=[UserFactory(is_staff=True)]).members.get(),
    }
    assert {role: what_may(user, row) for role, user in people.items()} == EXPECTED[label]
    assert {role: user.enters_admin for role, user in people.items()} == {
        role: admin_roles.may_enter(user) for role, user in people.items()
    }


@pytest.fixture
def manager():
    return manager_of(TeamFactory(name="Payments"))


@pytest.fixture
def own(manager):
    return manager.teams.get()


def logged_in(client, user):
    client.force_login(user)
    return client


def test_managers_choose_and_find_their_own_things_only(client, manager, own):
    other = ServiceFactory(team=TeamFactory(name="Quokka"), name="Zanzibar")
    client = logged_in(client, manager)
    mine = ServiceFactory(team=own, name="Checkout")
    content = client.get(page(Service, "changelist")).content.decode()
    assert "Checkout" in content and "Zanzibar" not in content and "Quokka" not in content
    form = {"team": other.team.pk, "name": "New", "grouping_labels": ""}
    assert "Select a valid choice" in client.post(page(Service, "add"), form).content.decode()
    moved = client.post(page(Service, "change", mine.pk), form)
    assert "Select a valid choice" in moved.content.decode()
    asked = {"app_label": "alerts", "model_name": "integration", "field_name": "service", "term": ""}
    found = client.get(reverse("admin:autocomplete"), asked).json()["results"]
    assert [row["text"] for row in found] == ["Checkout"]
    # People are looked for among those whom they see, so that somebody of another team can be taken in.
    newcomer = UserFactory(name="Newcomer")
    TeamFactory(observers=[manager, newcomer])
    UserFactory(name="Stranger")
    asked = {"app_label": "teams", "model_name": "membership", "field_name": "user", "term": ""}
    found = client.get(reverse("admin:autocomplete"), asked).json()["results"]
    assert {row["text"] for row in found} == {str(manager), "Newcomer"}
    taken = client.post(page(Membership, "add"), {"team": own.pk, "user": newcomer.pk, "role": "observer"})
    assert taken.status_code == 302 and own.members.filter(pk=newcomer.pk).exists()


def test_a_row_is_asked_about_by_its_id_too(manager, own):
    mine, others = ServiceFactory(team=own), ServiceFactory()
    asked = [str(mine.pk), str(others.pk), "no id"]
    assert [admin_roles.may(manager, "change", Service, pk) for pk in asked] == [True, False, False]


def test_managers_settings_are_of_a_team(client, manager):
    form = {"team": "", "roles": "Lead", "postmortem_template": ""}
    answer = logged_in(client, manager).post(page(ResponseSettings, "add"), form)
    assert "This field is required" in answer.content.decode()
    assert not ResponseSettings.objects.filter(team=None).exists()


def test_nobody_raises_rights(client, manager, own):
    form = {"email": manager.email, "name": "Me", "is_superuser": "on", "is_active": "on", "time_zone": "UTC"}
    member = TeamFactory(responders=[UserFactory()]).members.get()
    Membership.objects.create(team=own, user=member)
    client = logged_in(client, manager)
    for user in (manager, member):
        assert client.post(page(User, "change", user.pk), form).status_code == 403
        assert client.get(reverse("admin:auth_user_password_change", args=[user.pk])).status_code == 403
    assert client.post(page(User, "add"), form).status_code == 403
    assert not User.objects.filter(is_superuser=True).exists()


def test_managers_do_not_learn_how_people_sign_in(client, manager):
    words = ("Second factor", "Failed sign-ins", "Last login")
    pages = [page(User, "changelist"), page(User, "change", manager.pk)]
    for user, count in ((manager, 0), (UserFactory(is_auditor=True), 4)):
        logged_in(client, user)
        texts = [client.get(path).content.decode() for path in pages]
        assert sum(word in text for word in words for text in texts) == count


def test_auditor_who_manages_a_team_acts_on_that_one_alone(client, manager, own):
    manager.is_auditor = True
    manager.save()
    mine, others = IntegrationFactory(service=ServiceFactory(team=own)), IntegrationFactory()
    client = logged_in(client, manager)
    both = [mine.pk, others.pk]
    assert client.get(page(others, "change", others.pk)).status_code == 200
    client.post(page(mine, "changelist"), {"action": "disable", "_selected_action": both})
    assert dict(Integration.objects.values_list("pk", "is_enabled")) == {mine.pk: False, others.pk: True}
    incidents = [IncidentFactory(service=mine.service), IncidentFactory(service=others.service)]
    chosen = {"action": "acknowledge", "_selected_action": [row.pk for row in incidents]}
    client.post(page(incidents[0], "changelist"), chosen)
    for row in incidents:
        row.refresh_from_db()
    assert [row.status for row in incidents] == ["acknowledged", "open"]


def test_auditors_see_no_secrets_and_find_none(client):
    webhook = WebhookFactory(url="https://hooks.example.org/secret-path", format="slack")
    method = ContactMethodFactory(channel="apprise", address="ntfy://secret-path")
    mail = MailboxMessage.objects.create(
        recipient="a@example.org",
        sender="b@example.org",
        subject="Hello",
        text="https://x/accounts/reset/secret-path",
    )
    token = outstanding_token()
    auditor, root = UserFactory(is_auditor=True), UserFactory(is_superuser=True, is_staff=True)
    rows = (webhook, method, mail, token)
    secrets = ["secret-path", token.token, auditor.password[20:]]

    def seen():
        pages = [
            client.get(page(row, what, *args))
            for row in rows
            for what, args in (("changelist", ()), ("change", (row.pk,)))
        ]
        pages.append(client.get(page(auditor, "change", auditor.pk)))
        assert {answer.status_code for answer in pages} == {200}
        texts = {answer.request["PATH_INFO"]: answer.content.decode() for answer in pages}
        return {(path, secret) for secret in secrets for path, text in texts.items() if secret in text}

    logged_in(client, auditor)
    assert seen() == set()
    found = client.get(page(method, "changelist"), {"q": "secret-path"})
    assert list(found.context["cl"].result_list) == []
    rule = NotificationRuleFactory(user=method.user, contact_method=method)
    found = client.get(page(rule, "changelist"), {"q": "secret-path"})
    assert list(found.context["cl"].result_list) == []
    for row, lookup in ((method, "address__startswith"), (rule, "contact_method__address__startswith")):
        assert client.get(page(row, "changelist"), {lookup: "ntfy://s"}).status_code == 400
    logged_in(client, root)
    assert {secret for _, secret in seen()} == {"secret-path", token.token}


EDITABLE = [
    label for label, roles in EXPECTED.items() if "c" in roles["administrator"] and "blacklist" not in label
]


@pytest.mark.parametrize("label", EDITABLE)
def test_history_of_every_editable_model_is_the_audit_log(label):
    row = (MAKERS | MAKERS_OF_OTHERS)[label.replace(".", "_")]()
    row.save()
    AuditEntry.objects.create(
        at=timezone.now(),
        actor_kind="user",
        actor_name="Ana Ruiz",
        via="admin",
        action="changed",
        object_type=label,
        object_id=str(row.pk),
        changes={"name": ["Before", "After"], "secret": ["•••", "•••"]},
    )
    answer = ask(UserFactory(is_superuser=True, is_staff=True), page(row, "history", row.pk))
    [changed, *others] = answer.context_data["lines"]
    assert changed["changes"] == [("Name", "Before", "After"), ("Secret", "•••", "•••")]
    assert [line["what"] for line in others][-1:] == ["Created"]


def test_history_tells_who_changed_what_and_hides_secrets(client, manager, own):
    webhook = WebhookFactory(team=own, url="https://hooks.example.org/old")
    client = logged_in(client, manager)
    form = {
        "team": own.pk,
        "name": "Renamed",
        "url": "https://hooks.example.org/new",
        "format": "openalert",
        "is_enabled": "on",
    }
    assert client.post(page(webhook, "change", webhook.pk), form).status_code == 302
    content = client.get(page(webhook, "history", webhook.pk)).content.decode()
    assert "Renamed" in content and str(manager) in content and webhook.name in content
    assert "hooks.example.org" not in content
    stranger = manager_of(TeamFactory())
    assert logged_in(client, stranger).get(page(webhook, "history", webhook.pk)).status_code == 302
    client = logged_in(client, manager)
    AuditEntry.objects.create(
        at=timezone.now(),
        actor_kind="nobody",
        action="sign_in_failed",
        object_type="teams.user",
        object_id=str(manager.pk),
    )
    assert "Sign in failed" not in client.get(page(manager, "history", manager.pk)).content.decode()


def test_history_of_what_is_gone_is_in_the_audit_log(client):
    path = page(Service, "history", "01900000-0000-7000-8000-000000000000")
    answer = logged_in(client, UserFactory(is_auditor=True)).get(path)
    assert answer.url == "/audit/?object=teams.service:01900000-0000-7000-8000-000000000000"
