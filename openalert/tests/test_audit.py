"""The audit log: what is told, by whom and from where; what the database refuses; what never stands in it."""

from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from alerts import integrations
from alerts.enums import Source
from alerts.models import Integration
from alerts.tests.factories import IntegrationFactory
from incidents.enums import Severity
from incidents.tests.factories import IncidentFactory
from notifications.enums import Channel
from notifications.tests.factories import ContactMethodFactory, WebhookFactory
from openalert import acting, audit
from openalert.audit import retention, tracking
from openalert.celery import app
from openalert.models import AuditEntry
from openalert.scheduler import ElectedScheduler
from openalert.tasks import note_beat
from teams.enums import Role
from teams.models import Membership, User
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def told(**filters):
    """Newest last, as (who, what, which)."""
    rows = AuditEntry.objects.filter(**filters).order_by("id")
    return [(row.actor_name, row.action, row.object_name) for row in rows]


def forget():
    """Each test begins with an empty log: what its scene wrote is taken out of the way by its own transaction."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE openalert_auditentry DISABLE TRIGGER openalert_audit_keeps")
        cursor.execute("DELETE FROM openalert_auditentry")
        cursor.execute("ALTER TABLE openalert_auditentry ENABLE TRIGGER openalert_audit_keeps")


@pytest.fixture
def ana():
    user = UserFactory(name="Ana Ruiz", email="ana@example.org")
    user.set_password(PASSWORD)
    user.save()
    forget()
    return user


# What the database refuses


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE openalert_auditentry SET actor_name = 'somebody else'",
        "DELETE FROM openalert_auditentry",
        "DELETE FROM openalert_auditentry WHERE at < now()",
        "SET LOCAL openalert.audit_retention = 'on'; UPDATE openalert_auditentry SET data = '{}'",
        "SET LOCAL openalert.audit_retention = 'on'; DELETE FROM openalert_auditentry",
    ],
)
def test_database_refuses_to_change_a_line(statement):
    audit.record("tried")
    refusal = pytest.raises(DatabaseError, match="append-only")
    with connection.cursor() as cursor, refusal as refused, transaction.atomic():
        cursor.execute(statement)
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)
    assert told() == [("OpenAlert", "tried", "")]


def test_database_refuses_to_truncate():
    audit.record("tried")
    with connection.cursor() as cursor:  # between tests it is off, for the tables to be emptied
        cursor.execute("SELECT 1 FROM pg_trigger WHERE tgname = 'openalert_audit_keeps_all'")
        assert cursor.fetchone(), "the trigger is there"
        cursor.execute("ALTER TABLE openalert_auditentry ENABLE TRIGGER openalert_audit_keeps_all")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute("SET LOCAL openalert.audit_retention = 'on'; TRUNCATE openalert_auditentry")
        cursor.execute("ALTER TABLE openalert_auditentry DISABLE TRIGGER openalert_audit_keeps_all")
    assert len(told()) == 1


def test_models_cannot_change_a_line_either():
    audit.record("tried")
    entry = AuditEntry.objects.get()
    for write in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            write()


def test_retention_removes_old_lines_in_batches_and_only_those(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    now = timezone.now()
    entries = [audit.action_on(f"{days} days ago") for days in (500, 400, 366, 364, 1)]
    for entry in entries:
        entry.at = now - timedelta(days=int(entry.action.split()[0]))
    audit.record_all(entries)
    assert retention.remove_old_entries(days=0) == 0
    assert retention.remove_old_entries(days=365) == 3
    assert [action for _, action, _ in told()] == ["364 days ago", "1 days ago"]
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        retention.remove_old_entries(days=0.5)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.filter(action="364 days ago").delete()


# Configuration


def test_changes_are_told_with_before_and_after(ana):
    team = TeamFactory(name="Payments")
    forget()
    with audit.acting_as(audit.Source.of_user(ana, via="web", address="192.0.2.7")):
        service = ServiceFactory(team=team, name="Checkout")
        service.name = "Cash desk"
        service.save()
        service.save()  # nothing changed: nothing is told
        service.delete()
    assert told() == [
        ("Ana Ruiz", "created", "Checkout"),
        ("Ana Ruiz", "changed", "Cash desk"),
        ("Ana Ruiz", "deleted", "Cash desk"),
    ]
    created, changed, deleted = AuditEntry.objects.order_by("id")
    assert changed.changes == {"name": ["Checkout", "Cash desk"]}
    assert created.changes["name"] == [None, "Checkout"] and deleted.changes["name"] == ["Cash desk", None]
    assert created.changes["team"] == [None, str(team.pk)]
    assert (changed.object_type, changed.object_id) == ("teams.service", str(created.object_id))
    assert (changed.actor_id, changed.via, changed.address) == (ana.pk, "web", "192.0.2.7")


def test_roles_and_permissions_are_told(ana):
    team = TeamFactory(name="Payments")
    forget()
    membership = Membership.objects.create(team=team, user=ana, role=Role.OBSERVER)
    membership.role = Role.MANAGER
    membership.save()
    ana.is_superuser = True
    ana.save()
    group = Group.objects.create(name="Auditors")
    ana.groups.add(group)
    ana.groups.clear()
    changes = [row.changes for row in AuditEntry.objects.order_by("id") if row.action == "changed"]
    assert changes == [
        {"role": ["observer", "manager"]},
        {"is_superuser": [False, True]},
        {"groups": [None, ["Auditors"]]},
        {"groups": [["Auditors"], None]},
    ]


def test_set_based_writes_are_told_row_by_row():
    IntegrationFactory.create_batch(2)
    forget()
    assert audit.update(Integration.objects.all(), is_enabled=False) == 2
    assert [row.changes for row in AuditEntry.objects.all()] == [{"is_enabled": [True, False]}] * 2


@pytest.mark.django_db(transaction=True)  # beat closes connections that are in one
def test_periodic_tasks_of_the_product_are_told_once_somebody_changes_them(ana, client):
    ElectedScheduler(app=app)  # as beat starts
    assert PeriodicTask.objects.count() > 20
    assert told() == []
    User.objects.filter(pk=ana.pk).update(is_superuser=True)
    client.force_login(ana)
    forget()
    tasks = PeriodicTask.objects.filter(interval__isnull=False).order_by("name")
    first, second = tasks[0], tasks.exclude(interval=tasks[0].interval)[0]
    chosen = {"action": "disable_tasks", "_selected_action": [first.pk]}
    assert client.post("/admin/django_celery_beat/periodictask/", chosen).status_code == 302
    address = f"/admin/django_celery_beat/intervalschedule/{second.interval_id}/change/"
    given = {"every": 4321, "period": "seconds", "periodictask_set-TOTAL_FORMS": 0}
    given["periodictask_set-INITIAL_FORMS"] = 0
    assert client.post(address, given).status_code == 302
    assert [(who, what) for who, what, _ in told()] == [("Ana Ruiz", "changed")] * 2
    # Another start puts back what the product brings: the interval made for it is not told, the tasks changed are.
    moved = {
        str(pk) for pk in PeriodicTask.objects.filter(interval=second.interval).values_list("pk", flat=True)
    }
    forget()
    ElectedScheduler(app=app)
    changed = AuditEntry.objects.values_list("actor_kind", "action", "object_type", "object_id")
    assert set(changed) == {("system", "changed", "django_celery_beat.periodictask", pk) for pk in moved}


def test_alerts_and_state_tell_nothing(ana):
    hook = WebhookFactory()
    forget()
    hook.failures = 3
    hook.save()
    note_beat()
    ana.last_login = timezone.now()
    ana.save(update_fields=["last_login"])
    assert told() == []


def test_models_that_are_not_audited_are_ours():
    labels = {model._meta.label_lower for model in tracking.apps.get_models()}
    assert labels >= tracking.NOT_AUDITED
    assert {"teams.membership", "teams.user", "auth.group", "alerts.integration"} <= {
        model._meta.label_lower for model in tracking.tracked_models()
    }


# Secrets


def test_no_secret_stands_in_the_log(ana):
    secret = "s3cret-0123456789"
    integration = IntegrationFactory(secret=secret, source=Source.GRAFANA, settings={"api_token": secret})
    integration.secret = secret + "-new"
    integration.save()
    key = integrations.rotate_key(integration.pk)
    hook = WebhookFactory(secret=secret, url=f"https://hooks.slack.com/services/{secret}")
    hook.url += "-changed"
    hook.save()
    ContactMethodFactory(channel=Channel.APPRISE, keys={"auth": secret}, address=f"tgram://{secret}/1")
    ana.set_password(secret)
    ana.save()
    assert [row.action for row in AuditEntry.objects.filter(object_id=ana.pk)] == ["changed"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(e::text, ' ') FROM openalert_auditentry e")
        [everything] = cursor.fetchone()
    assert secret not in everything and key not in everything and ana.password not in everything
    assert AuditEntry.objects.filter(action="secret_shown", object_id=integration.pk).count() == 1
    entry = AuditEntry.objects.filter(
        action="changed", object_id=integration.pk, changes__has_key="secret"
    ).get()
    assert entry.changes == {"secret": ["***", "***"]}


# Access


def test_sign_ins_are_told(ana):
    client = Client(REMOTE_ADDR="192.0.2.8")
    client.post("/accounts/login/", {"username": "my-secret-password", "password": "x"})
    client.post("/accounts/login/", {"username": "nobody@exa\u2028mple.org", "password": "x"})
    client.post("/accounts/login/", {"username": "ANA@example.org", "password": "wrong"})
    client.post("/accounts/login/", {"username": "ana@example.org", "password": PASSWORD})
    client.post("/accounts/logout/")
    rows = AuditEntry.objects.order_by("id")
    assert [(row.actor_name, row.action, row.object_name, row.data) for row in rows] == [
        ("", "sign_in_failed", "", {"tried": ""}),
        ("", "sign_in_failed", "", {"tried": "nobody@example.org"}),
        ("", "sign_in_failed", "Ana Ruiz", {"tried": "ANA@example.org"}),
        ("Ana Ruiz", "signed_in", "Ana Ruiz", {}),
        ("Ana Ruiz", "signed_out", "Ana Ruiz", {}),
    ]
    assert {(row.address, row.via) for row in rows} == {("192.0.2.8", "web")}


def test_tokens_are_told_and_act_for_their_person(ana):
    client = Client(REMOTE_ADDR="2001:db8::1")
    headers = {"X-Correlation-ID": "from-a-script-1"}
    sign_in = {"email": "ana@example.org", "password": PASSWORD}
    tokens = client.post("/api/v1/auth/token", sign_in, "application/json", headers=headers).json()
    headers["Authorization"] = f"Bearer {tokens['access']}"
    client.patch("/api/v1/me", {"job_title": "SRE"}, "application/json", headers=headers)
    client.post("/api/v1/auth/token/revoke", {"refresh": tokens["refresh"]}, "application/json")
    rows = AuditEntry.objects.order_by("id")
    assert [(row.actor_name, row.action, row.via, row.address) for row in rows] == [
        ("Ana Ruiz", "token_made", "api", "2001:db8::1"),
        ("Ana Ruiz", "changed", "api", "2001:db8::1"),
        ("Ana Ruiz", "token_revoked", "api", "2001:db8::1"),
    ]
    assert [row.correlation_id for row in rows][:2] == ["from-a-script-1"] * 2
    assert rows[1].changes == {"job_title": ["", "SRE"]}


def test_address_is_not_what_a_client_says_it_is(ana):
    Client(REMOTE_ADDR="192.0.2.9").post(
        "/accounts/login/",
        {"username": "ana@example.org", "password": PASSWORD},
        headers={"X-Forwarded-For": "10.0.0.1"},
    )
    assert AuditEntry.objects.get().address == "192.0.2.9"


def test_admin_tasks_and_commands_say_what_they_are(ana, monkeypatch):
    ana.is_staff = ana.is_superuser = True
    ana.save()
    client = Client()
    client.force_login(ana)
    integration = IntegrationFactory(name="By hand")
    forget()
    chosen = {"action": "disable", "_selected_action": [str(integration.pk)]}
    client.post("/admin/alerts/integration/", chosen)
    acting.enter_task("teams.tasks.something")
    ServiceFactory(name="By a task")
    acting.leave_task()
    monkeypatch.setattr("sys.argv", ["/srv/manage.py", "shell"])
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    ServiceFactory(name="By a command")
    rows = AuditEntry.objects.filter(object_name__in=("By hand", "By a task", "By a command")).order_by("id")
    assert [(row.actor_kind, row.actor_name, row.via) for row in rows] == [
        ("user", "Ana Ruiz", "admin"),
        ("system", "OpenAlert", "teams.tasks.something"),
        ("command", "root", "shell"),
    ]


# Incidents


def test_what_people_do_with_incidents_is_told_and_what_alerts_do_is_not(ana):
    service = ServiceFactory(team=TeamFactory(responders=[ana]))
    incident = IncidentFactory(service=service, severity=Severity.HIGH)
    client = Client(REMOTE_ADDR="192.0.2.10")
    client.force_login(ana)
    forget()
    client.post(f"/incidents/{incident.number}/acknowledge/", headers={"X-Correlation-ID": "a-click-000"})
    [entry] = AuditEntry.objects.all()
    assert (entry.actor_id, entry.action, entry.via) == (ana.pk, "incident_acknowledged", "web")
    assert (entry.address, entry.correlation_id) == ("192.0.2.10", "a-click-000")
    assert (entry.object_type, entry.object_id) == ("incidents.incident", str(incident.pk))


def test_a_deleted_person_stays_in_the_log(ana):
    with audit.acting_as(audit.Source.of_user(ana)):
        audit.record("tried")
    pk = ana.pk
    ana.delete()
    assert told(actor_id=pk) == [("Ana Ruiz", "tried", "")]


def test_what_fails_leaves_no_line(ana):
    team = TeamFactory()
    forget()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        team.name = "Another"
        team.save()
        raise ZeroDivisionError
    assert told() == []


def test_restored_rows_are_not_told(tmp_path, ana):
    """loaddata writes raw rows: what they tell was told when they were made."""
    path = tmp_path / "teams.json"
    TeamFactory()
    call_command("dumpdata", "teams.team", output=str(path), verbosity=0)
    forget()
    call_command("loaddata", str(path), verbosity=0)
    assert told() == []
