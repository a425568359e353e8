"""People as CSV in the admin: what a file would do is told first, then it is done as a whole, once."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications.models import ContactMethod, NotificationRule
from notifications.tests.factories import ContactMethodFactory
from openalert.models import AuditEntry
from openalert.people_csv.plan import make_plan
from openalert.people_csv.sheet import COLUMNS, MOST_BYTES, FileRefused, decode, read
from openalert.people_csv.takeover import PlanChanged, take_over
from teams.enums import Role
from teams.models import Membership, Notice, User
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.django_db

HEAD = ",".join(COLUMNS) + "\n"
PEOPLE = 2000


@pytest.fixture
def root():
    return UserFactory(name="Root", is_superuser=True, is_staff=True)


@pytest.fixture
def payments():
    return TeamFactory(name="Payments")


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def upload(user, content, name="people.csv"):
    data = content.encode() if isinstance(content, str) else content
    return client_of(user).post(reverse("people-import"), {"file": SimpleUploadedFile(name, data)})


def confirm(user, answer):
    return client_of(user).post(reverse("people-import"), {"plan": answer.context["token"]}, follow=True)


def outcomes(plan):
    return {entry.email: entry.outcome.value for entry in plan.entries}


def refusals(answer):
    return [
        (entry.line, refusal.name, refusal.sentence)
        for entry in answer.context["plan"].entries
        for refusal in entry.refusals
    ]


def state():
    people = User.objects.order_by("email").values_list(
        "email", "name", "phone", "is_active", "is_superuser", "is_auditor"
    )
    methods = ContactMethod.objects.order_by("user__email", "channel").values_list(
        "user__email", "channel", "address"
    )
    roles = Membership.objects.order_by("user__email", "team__name").values_list(
        "user__email", "team__name", "role"
    )
    return list(people), list(methods), list(roles)


def written():
    """How much the audit log has, but for sign-ins."""
    return AuditEntry.objects.exclude(action="signed_in").count()


def test_file_is_shown_then_taken_over_as_a_whole_and_once(root, payments):
    ana = UserFactory(name="Ana", email="Ana@example.org", phone="+15005550001")
    Membership.objects.create(team=payments, user=ana, role=Role.RESPONDER)
    UserFactory(name="Bo", email="bo@example.org")
    content = HEAD + (
        "ana@EXAMPLE.org,Ana Ruiz,,,Europe/Berlin,no,auditor,payments: manager,\n"
        "bo@example.org,Bo,,,,,,,\n"
        "\n"
        'carla@example.org,"Carla ""C"" Diaz",SRE,+15005550002,Europe/Madrid,yes,member,Payments: Responder,'
        "sms: +14155550123; email: c@example.net\n"
    )
    before = state()
    answer = upload(root, content)
    assert state() == before
    plan = answer.context["plan"]
    assert outcomes(plan) == {
        "ana@EXAMPLE.org": "changed",
        "bo@example.org": "left",
        "carla@example.org": "made",
    }
    assert [entry.line for entry in plan.entries] == [2, 3, 5]
    assert plan.entries[0].words == [
        "name: Ana → Ana Ruiz",
        "time zone: UTC → Europe/Berlin",
        "deactivated",
        "role: member → auditor",
        "Payments: responder → manager",
    ]
    marks = set(AuditEntry.objects.values_list("pk", flat=True))
    done = confirm(root, answer)
    assert "people.csv: 1 made, 1 changed, 1 left." in done.content.decode()
    ana.refresh_from_db()
    carla = User.objects.get(email="carla@example.org")
    assert (ana.name, ana.is_active, ana.is_auditor, ana.email) == (
        "Ana Ruiz",
        False,
        True,
        "Ana@example.org",
    )
    assert ana.inactive_since_at is not None
    assert (carla.name, carla.has_usable_password(), carla.job_title) == ('Carla "C" Diaz', False, "SRE")
    assert {(m.channel, m.address, m.is_verified) for m in carla.contact_methods.all()} == {
        ("in_app", "", True),
        ("email", "carla@example.org", True),
        ("email", "c@example.net", False),
        ("sms", "+14155550123", False),
    }
    assert NotificationRule.objects.filter(user=carla).count() == 2 * 4
    assert list(Notice.objects.values_list("user", "key")) == [(carla.pk, "invitation")]
    told = AuditEntry.objects.exclude(pk__in=marks).order_by("pk")
    assert {entry.actor_name for entry in told} == {"Root"}
    assert [(entry.action, entry.object_type) for entry in told if entry.object_id == str(ana.pk)] == [
        ("changed", "teams.user")
    ]
    assert told.get(action="people_imported").data == {"file": "people.csv", "made": 1, "changed": 1}
    assert told.filter(object_type="teams.membership").count() == 2

    after, count = state(), written()
    again = upload(root, content)
    assert set(outcomes(again.context["plan"]).values()) == {"left"}
    assert "there is nothing to do" in again.content.decode()
    late = confirm(root, answer)  # the first form, sent twice
    assert "Something has changed in between" in late.content.decode()
    assert (state(), written()) == (after, count)


def test_what_is_exported_changes_nothing_when_it_comes_back(root):
    odd = TeamFactory(name='Search; "fast": and, wide')
    formula = UserFactory(
        name="=HYPERLINK(1)", email="=cmd@example.org", phone="+15005550006", job_title="'quoted"
    )
    Membership.objects.create(team=odd, user=formula, role=Role.OBSERVER)
    Membership.objects.create(team=TeamFactory(name="@home"), user=formula, role=Role.MANAGER)
    UserFactory(name="Audra", is_auditor=True, is_active=False)
    UserFactory(name="token", is_service_account=True)
    ContactMethodFactory(user=formula, channel="sms", address="+14155550123")
    ContactMethodFactory(user=formula, channel="apprise", address="ntfy://secret-topic")
    answer = client_of(root).get(reverse("people-export"))
    content = answer.content
    assert content.startswith(b"\xef\xbb\xbfemail,") and b"secret" not in content and b"token" not in content
    cells = [cell for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) for cell in row]
    assert "'=HYPERLINK(1)" in cells and not [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell)]
    plan = upload(root, content).context["plan"]
    assert outcomes(plan) == dict.fromkeys(
        ["=cmd@example.org", "audra@example.org", "root@example.org"], "left"
    ), [entry.refusals or entry.words for entry in plan.entries]
    assert AuditEntry.objects.filter(action="people_exported", actor_name="Root").count() == 1


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_files_of_other_spreadsheets_are_read(separator, line_end):
    head = ["E-Mail", "Time zone", "Name"]
    row = ["ana@example.org", "Europe/Berlin", '"Ruiz; Ana, the\tfirst"']
    text = decode("\ufeff".encode() + line_end.join(map(separator.join, (head, row))).encode())
    [found] = read(text).rows
    assert found.cells == {
        "email": "ana@example.org",
        "time_zone": "Europe/Berlin",
        "name": "Ruiz; Ana, the\tfirst",
    }


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"email,name\n", "nobody in the file"),
        (b"name\nAna\n", "column “email” is missing"),
        (b"email,shoe size\n", "Line 1, column 2: There is no column “shoe size”"),
        (b"email,name,Name\n", "Line 1, column 3: There are two columns “name”"),
        (
            "email,name\nana@example.org,Ana\nbo@example.org,Bó\n".encode("latin-1"),
            "Line 3: The file is not UTF-8",
        ),
        ("email\nana@example.org\n".encode("utf-16"), "UTF-16"),
        (b"email\nana\0@example.org\n", "Line 2: This is no text file"),
        (b"email,name\nana@example.org,Ana,Ruiz\n", "Line 2, column 3: There are 3 cells"),
        (b'email,name\nana@example.org,"Ana\n', "Line 2: This is not written as CSV"),
        (b"email\n" + b"a@example.org\n" * 10_001, "Line 10002: The file has more than 10,000 people"),
        (b"x" * (MOST_BYTES + 1), "Split it into several"),
    ],
)
def test_file_that_cannot_be_read_is_refused_with_the_place(root, data, told):
    with pytest.raises(FileRefused) as refused:
        read(decode(data))
    assert told in str(refused.value)
    if len(data) < 1000:
        answer = upload(root, data)
        told_there = answer.context["form"].errors["file"][0] if data else "empty"
        assert (answer.status_code, told in told_there) == (422, True)


ROW = {"email": "new@example.org", "name": "New"}


@pytest.mark.parametrize(
    ("cells", "column", "told"),
    [
        ({"email": ""}, "email", "missing"),
        ({"email": "not an address"}, "email", "valid email"),
        ({"email": "token@service.invalid"}, "email", "nobody’s"),
        ({"name": ""}, "name", "needs a name"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"name": "a\x07b"}, "name", "not seen"),
        ({"phone": "12"}, "phone", "country code"),
        ({"time_zone": "Mars/Base"}, "time_zone", "not a time zone"),
        ({"active": "maybe"}, "active", "neither yes nor no"),
        ({"role": "king"}, "role", "no role “king”"),
        ({"teams": "Nobodies: manager"}, "teams", "no team “Nobodies”"),
        ({"teams": "Payments: king"}, "teams", "no role “king”"),
        ({"teams": "Payments"}, "teams", "second half"),
        ({"teams": "Payments: manager; payments: observer"}, "teams", "twice"),
        ({"teams": '"Payments: manager'}, "teams", "not closed"),
        ({"contact_methods": "sms: 12"}, "contact_methods", "phone number"),
        ({"contact_methods": "apprise: ntfy://x"}, "contact_methods", "only, not “apprise”"),
        ({"email": "root@example.org", "active": "no"}, "active", "your own account"),
        ({"email": "root@example.org", "role": "member"}, "role", "your own account"),
        ({"email": "BY@GROUP.example", "teams": "Payments: manager"}, "teams", "identity provider"),
        ({"email": "twice@example.org"}, "email", "Line 2 is about the same address"),
    ],
)
def test_row_that_is_refused_is_told_and_the_whole_file_waits(root, payments, cells, column, told):
    UserFactory(email="token@service.invalid", is_service_account=True)
    Membership.objects.create(team=payments, user=UserFactory(email="by@group.example"), from_identity=True)
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    writer.writerow({**ROW, "email": "Twice@example.org"})
    writer.writerow(ROW | cells)
    before = state()
    answer = upload(root, file.getvalue())
    [(line, name, sentence)] = refusals(answer)
    assert (line, name) == (3, column) and told in sentence, sentence
    assert f"Column {COLUMNS.index(column) + 1} ({column})" in answer.content.decode()
    assert "Take it over" not in answer.content.decode()
    confirm(root, answer)  # by hand, all the same
    assert state() == before


def test_managers_give_roles_in_their_teams_and_nothing_else(payments):
    manager, other = UserFactory(name="Manager"), UserFactory(name="Other", is_superuser=True, is_staff=True)
    stranger, search = UserFactory(name="Stranger"), TeamFactory(name="Search")
    Membership.objects.create(team=payments, user=manager, role=Role.MANAGER)
    Membership.objects.create(team=search, user=manager, role=Role.OBSERVER)
    Membership.objects.create(team=search, user=other, role=Role.RESPONDER)
    refused = upload(
        manager,
        HEAD + f"{other.email},Renamed,,,,,,,\n"
        f"{manager.email},,,,,,administrator,Search: manager,\n"
        f"{stranger.email},,,,,,,Payments: observer,\n"
        "new@example.org,New,,,,,,,\n",
    )
    assert [(line, name) for line, name, _ in refusals(refused)] == [
        (2, "name"),
        (3, "role"),
        (3, "teams"),
        (4, "email"),
        (5, "email"),
    ]
    assert refusals(refused)[3][2] == refusals(refused)[4][2]  # nobody learns who has an account
    answer = upload(manager, HEAD + f"{other.email},{other.name},,,,yes,administrator,Payments: responder,\n")
    confirm(manager, answer)
    assert Membership.objects.get(team=payments, user=other).role == Role.RESPONDER
    exported = client_of(manager).get(reverse("people-export")).content.decode()
    assert "Payments: responder" in exported and "Search" not in exported and stranger.email not in exported
    observer = client_of(UserFactory())
    assert {observer.get(reverse(name)).status_code for name in ("people-export", "people-import")} == {302}
    auditor = client_of(UserFactory(is_auditor=True))
    assert [auditor.get(reverse(name)).status_code for name in ("people-export", "people-import")] == [
        200,
        403,
    ]


@pytest.mark.django_db(transaction=True)
def test_the_same_file_twice_at_once_is_taken_over_once(root, payments):
    sheet = read("email,name,teams\nnew@example.org,New,Payments: responder\n")
    digest = make_plan(sheet, by=root).digest
    both = Barrier(2)

    def go(_):
        both.wait(10)
        try:
            take_over(sheet, by=root, digest=digest, name="people.csv")
            return "taken over"
        except PlanChanged:
            return "changed"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(go, range(2))) == ["changed", "taken over"]
    assert Membership.objects.filter(user__email="new@example.org").count() == 1
    assert AuditEntry.objects.filter(action="people_imported").count() == 1


def test_what_one_person_looked_at_nobody_else_confirms(root):
    answer = upload(root, "email,name\nnew@example.org,New\n")
    confirm(UserFactory(is_superuser=True, is_staff=True), answer)
    assert not User.objects.filter(email="new@example.org").exists()


def test_many_people_take_few_statements(root, payments):
    text = "email,name,teams\n" + "".join(
        f"p{n}@example.org,Person {n},Payments: responder\n" for n in range(PEOPLE)
    )
    sheet = read(text)
    digest = make_plan(sheet, by=root).digest
    with CaptureQueriesContext(connection) as asked:
        take_over(sheet, by=root, digest=digest, name="people.csv")
    assert len(asked) < 60  # some for each five hundred
    assert Membership.objects.filter(team=payments).count() == PEOPLE
    answer = upload(root, text)
    assert answer.context["plan"].counts == {"made": 0, "changed": 0, "left": PEOPLE, "refused": 0}
    assert "These are the first 500." in answer.content.decode()
