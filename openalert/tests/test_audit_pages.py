"""The audit log's page: who may read it, what is found, what is exported; and the history of objects in the admin."""

import asyncio
import csv
import io
import json
from datetime import timedelta

import pytest
from django.test import AsyncClient, Client
from django.utils import timezone

from openalert import audit
from openalert.audit import search
from openalert.audit.lines import lines_of
from openalert.models import AuditEntry
from openalert.tests.test_audit import forget
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ("/audit/", "/audit/export.csv", "/audit/export.jsonl")


@pytest.fixture
def auditor():
    return UserFactory(name="Audra Auditor", is_auditor=True)


@pytest.fixture
def client(auditor):
    client = Client()
    client.force_login(auditor)
    return client


@pytest.fixture
def lines(client):
    """A hundred lines: fifty of Ana's team in the morning, fifty of Bo's key; the oldest a hundred days ago."""
    team, ana, bo = TeamFactory(name="Payments"), UserFactory(name="Ana Ruiz"), UserFactory(name="=Bo()")
    forget()
    by = audit.Source.of_user(ana, via="web", address="192.0.2.1")
    of_bo = audit.Source.of_user(bo, via="api", address="2001:db8::2")
    entries = []
    for number in range(50):
        entries.append(audit.action_on("changed", team, {"name": (f"P{number}", "Payments")}, by=by))
        entries.append(audit.action_on("token_made", bo, by=of_bo, data={"scope": "read"}))
    now = timezone.now()
    for days, entry in enumerate(reversed(entries)):
        entry.at = now - timedelta(days=days)
    audit.record_all(entries)
    return entries


def found(client, query=""):
    response = client.get(f"/audit/?{query}")
    assert response.status_code == 200
    return [line["entry"].pk for line in response.context["entries"]], response


def test_only_administrators_and_auditors_read_it(client):
    admin = Client()
    admin.force_login(UserFactory(is_superuser=True))
    manager = Client()
    manager.force_login(TeamFactory(managers=[UserFactory(is_staff=True)]).members.get())
    for page in PAGES:
        answers = [who.get(page).status_code for who in (admin, client, manager, Client())]
        assert answers == [200, 200, 403, 302], page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("who=ana", 50),
        ("who=2001:db8::2", 50),
        ("q=payments", 50),
        ("q=192.0.2.1", 50),
        ("what=token_made", 50),
        ("kind=teams.team", 50),
        ("kind=teams.team&who=bo", 0),
        ("who=%25", 0),
    ],
)
def test_lines_are_found(client, lines, query, count):
    pks, _ = found(client, query)
    assert len(pks) == count


def test_days_are_whole_and_pages_go_on_where_the_last_one_ended(client, lines):
    day = timezone.now() - timedelta(days=9)
    pks, _ = found(client, f"since={day:%Y-%m-%d}&until={day:%Y-%m-%d}")
    assert pks == [lines[-10].pk]
    first, response = found(client)
    assert "before=" in response.text
    second, _ = found(client, f"before={first[-1]}")
    assert first + second == sorted((entry.pk for entry in AuditEntry.objects.all()), reverse=True)[:100]


def test_what_is_wrong_is_told(client):
    for query in ("since=yesterday", "before=0", "before=99999999999999999999"):
        response = client.get(f"/audit/?{query}")
        assert response.status_code == 422 and "banner" in response.text
        assert client.get(f"/audit/export.csv?{query}").status_code == 422


def test_page_shows_before_and_after_and_escapes(client, lines):
    entry = audit.action_on("changed", None, {"name": ("<b>", {"a": [1]})}, data={"reason": "<i>"})
    audit.record_all([entry])
    text = client.get("/audit/").text
    assert "&lt;b&gt;" in text and "<b>" not in text and "&lt;i&gt;" in text
    assert "{&quot;a&quot;:[1]}" in text


def export(auditor, path):
    async def read():
        client = AsyncClient()
        await client.aforce_login(auditor)
        response = await client.get(path)
        return "".join([part.decode() async for part in response.streaming_content])

    return asyncio.run(read())


def test_exports_have_every_line_that_was_found(auditor, lines, monkeypatch):
    monkeypatch.setattr(search, "BATCH", 7)
    rows = list(
        csv.reader(io.StringIO(export(auditor, "/audit/export.csv?what=token_made").lstrip("\ufeff")))
    )
    assert rows[0] == list(search.COLUMNS) and len(rows) == 51
    assert rows[1][4] == "'=Bo()", "no formula for a spreadsheet"
    objects = [json.loads(line) for line in export(auditor, "/audit/export.jsonl?what=changed").splitlines()]
    assert [row["id"] for row in objects] == [
        entry.pk for entry in reversed(lines) if entry.action == "changed"
    ]
    assert objects[0]["changes"] == {"name": ["P49", "Payments"]}
    last = AuditEntry.objects.filter(action="audit_exported").latest("id")
    assert (last.actor_name, last.data) == (
        "Audra Auditor",
        {"file": "audit.jsonl", "looked_for": {"what": "changed"}},
    )


def test_rows_that_fields_lead_to_are_told_by_name_as_long_as_they_are_there(
    client, django_assert_num_queries
):
    gone, there = TeamFactory(name="Gone"), TeamFactory(name="Payments")
    service = ServiceFactory(name="Checkout", team=there)
    forget()
    for _ in range(3):
        audit.record(
            "changed", service, {"team": (str(gone.pk), str(there.pk)), "name": (str(there.pk), "x")}
        )
    gone_id = str(gone.pk)
    gone.delete()
    response = client.get(f"/audit/?object=teams.service:{service.pk}")
    assert [sorted(line["changes"]) for line in response.context["entries"]] == [
        [("Name", str(there.pk), "x"), ("Team", gone_id, "Payments")]
    ] * 3
    entries = list(AuditEntry.objects.filter(object_id=str(service.pk)))
    with django_assert_num_queries(1):
        lines_of(entries)
