"""An integration's page: what came in, what can be changed, and who may."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from alerts import samples, shown_payloads
from alerts.enums import Grouping, Source
from alerts.formats.email import settings_of
from alerts.integration_page import state_of
from alerts.integrations import change_integration, create_integration, delete_integration, rotate_key
from alerts.models import Alert, AlertAdditions, Integration
from alerts.samples import Keeper, Sample
from alerts.shown_payloads import payload_of
from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db

NOW = timezone.now()
JSON = {"content-type": "application/json"}


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture
def pages(cast) -> Pages:
    return Pages(cast)


@pytest.fixture
def service(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


@pytest.fixture
def integration(service):
    return IntegrationFactory(service=service, name="Probes")


def page(integration, name="integration"):
    return reverse(name, args=[integration.pk])


def receive(integration, body, refusal="", headers=JSON):
    """As the door does it, but at once."""
    keeper = Keeper()
    keeper.keep(str(integration.pk), body, headers, refusal)
    keeper.close()


def fields(integration, **changes):
    return {
        "name": integration.name,
        "is_enabled": "on",
        "grouping": integration.grouping,
        "grouping_labels": "",
        "grouping_window_minutes": integration.grouping_window_minutes,
        **changes,
    }


def test_the_team_sees_it_and_its_managers_change_it(pages, integration):
    assert pages.statuses("get", page(integration)) == pages.answers(200, 200, 200, 404)
    assert pages.statuses("get", page(integration, "integration-received")) == pages.answers(
        200, 200, 200, 404
    )
    for name in ("integration-edit", "integration-delete", "integration-key"):
        assert pages.statuses("get", page(integration, name)) == pages.answers(200, 403, 403, 404)
    edited = pages.statuses("post", page(integration, "integration-edit"), fields(integration))
    assert edited == pages.answers(302, 403, 403, 404)
    for name in ("integration-delete", "integration-switch"):
        assert pages.statuses("post", page(integration, name)) == pages.answers(302, 403, 403, 404)
    for who, sees in (("manager", True), ("responder", False), ("observer", False)):
        text = pages.text(who, page(integration))
        assert [words in text for words in ("Rotate key", "Switch off", "Delete…")] == [sees] * 3


def test_page_shows_no_secret(pages, service):
    integration = IntegrationFactory(service=service, secret="s3cr3t-of-grafana", source=Source.GRAFANA)
    for name in ("integration", "integration-edit"):
        text = pages.text("manager", page(integration, name))
        assert integration.key not in text and "s3cr3t" not in text
    assert "checked, with a secret" in pages.text("responder", page(integration))


def test_first_event_is_shown_as_it_came_by_polling(pages, integration):
    responder = pages.client("responder")
    first = pages.text("responder", page(integration))
    assert "Waiting for the first event" in first and "every 2s" in first
    poll = page(integration, "integration-received") + f"?seen={_seen(first)}"
    assert responder.get(poll).status_code == 204

    receive(integration, b'{"title":"Disk full","value":1.50}')
    response = responder.get(poll, headers={"HX-Request": "true"})
    assert (response.status_code, response.templates[0].name) == (200, "alerts/_integration_received.html")
    assert "every 2s" not in response.text and "Events come in" in response.text
    assert response.context["payloads"][0].text == '{\n  "title": "Disk full",\n  "value": 1.50\n}'
    assert "&quot;title&quot;: &quot;Disk full&quot;" in response.text
    again = page(integration, "integration-received") + f"?seen={_seen(response.text)}"
    assert responder.get(again).status_code == 204


def _seen(text):
    return text.partition("/received/?seen=")[2].partition('"')[0]


def test_refused_event_is_told_in_the_refusals_words_and_the_next_is_awaited(pages, integration):
    receive(integration, b"{", refusal="The body is not valid JSON: it ends too early.")
    text = pages.text("responder", page(integration))
    assert text.count("The body is not valid JSON: it ends too early.") == 2
    assert "The last event was refused" in text and "every 2s" in text


@pytest.mark.parametrize(
    ("enabled", "rotated", "samples_", "alert", "expected"),
    [
        (True, None, [], None, ("waiting", None)),
        (True, None, [], 5, ("receiving", 5)),
        (True, None, [(3, "")], 5, ("receiving", 3)),
        (True, None, [(3, "No."), (4, "")], 5, ("refused", 3)),
        (True, None, [(3, ""), (4, "No.")], None, ("receiving", 3)),
        (True, 4, [(5, "")], 6, ("rotated", 5)),
        (True, 4, [(3, "")], 6, ("receiving", 3)),
        (True, 4, [(3, "No.")], 6, ("refused", 3)),
        (True, 4, [], None, ("waiting", None)),
        (False, 4, [(5, "")], 6, ("off", 5)),
        (False, None, [], None, ("off", None)),
    ],
)
def test_state(enabled, rotated, samples_, alert, expected):
    def ago(minutes):
        return None if minutes is None else NOW - timedelta(minutes=minutes)

    integration = Integration(is_enabled=enabled, key_rotated_at=ago(rotated))
    recent = [Sample(ago(minutes), b"", {}, refusal) for minutes, refusal in samples_]
    alerts = [] if alert is None else [Alert(last_fired_at=ago(alert))]
    assert state_of(integration, recent, alerts) == (expected[0], ago(expected[1]))


def test_switched_off_and_rotated_are_told(pages, integration):
    AlertFactory(integration=integration, incident=IncidentFactory(service=integration.service))
    rotate_key(integration.pk)
    assert "with the new key" in pages.text("responder", page(integration))
    pages.client("manager").post(page(integration, "integration-switch"), {"on": "0"})
    assert "It is switched off" in pages.text("responder", page(integration))
    pages.client("manager").post(page(integration, "integration-switch"), {"on": "1"})
    assert Integration.objects.get().is_enabled


def test_alerts_lead_to_their_incidents(pages, integration):
    incident = IncidentFactory(service=integration.service)
    AlertFactory(integration=integration, incident=incident, title="Disk <full>", count=7)
    text = pages.text("observer", page(integration))
    assert "Disk &lt;full&gt;" in text and "sent 7 times" in text and incident.get_absolute_url() in text


def test_it_takes_the_same_queries_however_much_came(pages, integration):
    incident = IncidentFactory(service=integration.service)
    AlertFactory(integration=integration, incident=incident)
    counts = {name: pages.count_queries("manager", page(integration, name)) for name in POLLED}
    for _ in range(3):
        AlertFactory(integration=integration, incident=IncidentFactory(service=integration.service))
    assert {name: pages.count_queries("manager", page(integration, name)) for name in POLLED} == counts
    assert counts["integration-received"] <= 4


POLLED = ("integration", "integration-received")


def test_polling_asks_little(pages, integration, django_assert_num_queries):
    observer = pages.client("observer")
    poll = f"{page(integration, 'integration-received')}?seen=waiting-0"
    with django_assert_num_queries(4):  # session, person, integration, alerts
        assert observer.get(poll).status_code == 204


def test_newest_alerts_of_a_quiet_integration_are_found_without_walking_through_all(integration):
    loud = AlertFactory(incident=IncidentFactory(service=integration.service))
    Alert.objects.bulk_create(
        Alert(
            integration=loud.integration,
            incident=loud.incident,
            dedup_key=f"{number}",
            title="Loud",
            severity="low",
            first_fired_at=NOW,
            last_fired_at=NOW,
        )
        for number in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE alerts_alert")
    newest = Alert.objects.newest_of(OuterRef("pk")).values("pk")[:1]
    all_at_once = Integration.objects.annotate(newest=Subquery(newest))
    for plan in (all_at_once.explain(), Alert.objects.newest_of(integration)[:20].explain()):
        assert "alert_by_integration" in plan and "alerts_alert_pkey" not in plan
    assert all_at_once.get(pk=integration.pk).newest is None
    assert all_at_once.get(pk=loud.integration.pk).newest == Alert.objects.order_by("-pk")[0].pk


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"b":1,"a":[2e3,{}]}', '{\n  "b": 1,\n  "a": [\n    2e3,\n    {}\n  ]\n}'),
        (b"", ""),
        (b"title=x&y=<b>", "title=x&y=<b>"),
        (b'{"cut": "of', '{"cut": "of'),
        (b"\xff", "�"),
        (b"[" * 30_000, "[" * 30_000),
        (b"[" * 30 + b"]" * 30, "[" * 30 + "]" * 30),
    ],
)
def test_payloads_are_laid_out_when_they_are_json(body, expected):
    assert payload_of(Sample(NOW, body, {})).text == expected


def test_payload_shown_is_bounded():
    deep = b"[" * 20 + b"0," * 20_000 + b"0" + b"]" * 20
    shown = payload_of(Sample(NOW, deep, {}))
    assert (shown.text[:4], len(shown.text), shown.is_cut) == ("[\n  ", shown_payloads.MOST_SHOWN, True)
    assert len(shown.beginning) == shown_payloads.LONGEST_BEGINNING


def test_edit_keeps_the_secret_unless_another_is_given_or_it_is_removed(pages, service):
    integration = IntegrationFactory(service=service, secret="first")
    manager, path = pages.client("manager"), page(integration, "integration-edit")

    def secret_after(**changes):
        response = manager.post(path, fields(integration, **changes))
        assert response.status_code == 302, response.context["form"].errors
        return Integration.objects.get().secret

    assert secret_after(name="Renamed") == "first"
    assert Integration.objects.get().name == "Renamed"
    assert secret_after(secret="second") == "second"
    assert manager.post(path, fields(integration, secret="third", remove_secret="on")).status_code == 422
    assert secret_after(remove_secret="on") == ""
    assert "remove_secret" not in pages.text("manager", path)


def test_edit_changes_grouping_and_switches(pages, integration):
    given = fields(integration, grouping="labels", grouping_labels="cluster, job", grouping_window_minutes=5)
    del given["is_enabled"]
    assert pages.client("manager").post(page(integration, "integration-edit"), given).status_code == 302
    found = Integration.objects.get()
    assert (found.grouping, found.grouping_labels, found.grouping_window_minutes, found.is_enabled) == (
        Grouping.LABELS,
        ["cluster", "job"],
        5,
        False,
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "OTHER"}, "name"),
        ({"grouping": "labels"}, "grouping_labels"),
        ({"grouping_window_minutes": 0}, "grouping_window_minutes"),
        ({"secret": "x" * 256}, "secret"),
    ],
)
def test_faulty_edit_changes_nothing(pages, integration, change, field):
    IntegrationFactory(service=integration.service, name="Other")
    before = Integration.objects.values().get(pk=integration.pk)
    response = pages.client("manager").post(
        page(integration, "integration-edit"), fields(integration, **change)
    )
    assert (response.status_code, list(response.context["form"].errors)) == (422, [field])
    assert "<h1>Edit Probes</h1>" in response.text
    assert Integration.objects.values().get(pk=integration.pk) == before


def test_edit_of_mails_settings_leaves_other_settings_alone(pages, service):
    integration = IntegrationFactory(
        service=service, source=Source.EMAIL, settings={"fields": {"title": "t"}}
    )
    path = page(integration, "integration-edit")
    assert "One in each line" in pages.text("manager", path)
    given = fields(
        integration, email_dedup="thread", email_over="back in business\r\n\r\n all well ", email_firing=""
    )
    assert pages.client("manager").post(path, given).status_code == 302
    found = Integration.objects.get()
    assert found.settings == {
        "fields": {"title": "t"},
        "email": {"dedup": "thread", "over": ["back in business", "all well"], "firing": []},
    }
    assert settings_of(found).over == ("back in business", "all well")
    assert "back in business\nall well</textarea>" in pages.text("manager", path)
    response = pages.client("manager").post(path, {**given, "email_firing": "x" * 101})
    assert list(response.context["form"].errors) == ["email_firing"]
    response = pages.client("manager").post(path, {**given, "email_firing": "x\n" * 51})
    assert list(response.context["form"].errors) == ["email_firing"]


def test_changes_are_merged_with_what_others_changed(integration):
    change_integration(integration.pk, settings={"fields": {"a": 1}}, name="One")
    change_integration(integration.pk, settings={"email": {"dedup": "thread"}})
    found = Integration.objects.get()
    assert (found.name, found.settings) == ("One", {"fields": {"a": 1}, "email": {"dedup": "thread"}})


def test_deleting_asks_and_says_what_goes(pages, integration):
    path = page(integration, "integration-delete")
    assert "Its alerts, changes, rules, heartbeats" in pages.text("manager", path)
    response = pages.client("manager").get(path, headers={"HX-Request": "true"})
    assert response.templates[0].name == "alerts/_integration_delete.html"
    assert Integration.objects.exists()


def test_deleting_takes_alerts_and_samples_along_and_leaves_incidents(
    pages, integration, django_capture_on_commit_callbacks
):
    alert = AlertFactory(integration=integration, incident=IncidentFactory(service=integration.service))
    AlertAdditions.objects.create(alert=alert, tags=["x"])
    other = AlertFactory()
    receive(integration, b"{}")
    with django_capture_on_commit_callbacks(execute=True):
        response = pages.client("manager").post(page(integration, "integration-delete"))
    assert response["Location"] == reverse("service", args=[integration.service_id])
    assert list(Alert.objects.all()) == [other]
    assert not AlertAdditions.objects.exists()
    assert Incident.objects.count() == 2
    assert samples.recent(integration.pk) == []
    assert pages.client("manager").get(page(integration)).status_code == 404
    delete_integration(integration.pk)


def test_rotating_keeps_samples(integration):
    receive(integration, b"{}")
    rotate_key(integration.pk)
    assert len(samples.recent(integration.pk)) == 1
    assert Integration.objects.get().key_rotated_at is not None


def test_new_integration_leads_to_its_page(pages, service):
    integration = Integration(service=service, name="New")
    create_integration(integration)
    text = pages.text("observer", reverse("service-integrations", args=[service.pk]))
    assert page(integration) in text and "no alert yet" in text
