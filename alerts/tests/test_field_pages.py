"""The page of the fields of any JSON: what came in, what would come of it, and what is saved."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from alerts import samples
from alerts.enums import Source
from alerts.field_forms import FieldsForm, is_shown_whole
from alerts.models import Alert, Integration
from alerts.samples import Keeper, Sample
from alerts.tests.factories import IntegrationFactory
from alerts.tests.test_door import request
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db

PAYLOAD = (Path(__file__).parent / "payloads" / "generic.json").read_bytes()
JSON = {"content-type": "application/json"}
FIELDS = {
    "each": "problems",
    "title": "{{ payload.what }} in {{ whole.site }}",
    "dedup_key": "id",
    "status": "state",
    "resolved": ["fine", "all well"],
    "acknowledged": ["seen"],
    "severity": "prio",
    "severities": {"P1": "critical", "a=b": "low"},
    "name": "kind",
    "source": "host",
    "labels": {"host": "host", "test": "prio == 'P1' && 'yes'"},
    "description": "details",
    "link": "url",
}
FILLED_IN = {
    **FIELDS,
    "resolved": "fine\r\nall well\r\n",
    "acknowledged": "seen",
    "severities": "P1 = critical\r\na=b = low",
    "labels": "host = host\r\ntest=prio == 'P1' && 'yes'",
}


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture
def pages(cast) -> Pages:
    return Pages(cast)


@pytest.fixture
def integration(cast):
    service = ServiceFactory(team=cast.team, name="Checkout")
    return IntegrationFactory(service=service, name="Probes", source=Source.GENERIC)


def page(integration, name="integration-fields"):
    return reverse(name, args=[integration.pk])


def receive(integration, *bodies, refusal=""):
    """As the door does it, but at once and however many there are."""
    for body in bodies:
        keeper = Keeper()
        keeper.keep(str(integration.pk), body, JSON, refusal)
        keeper.close()


def test_the_team_tries_fields_and_its_managers_save_them(pages, integration):
    for name in ("integration-fields", "fields-payload"):
        assert pages.statuses("get", page(integration, name)) == pages.answers(200, 200, 200, 404)
    tried = pages.statuses("post", page(integration, "fields-preview"), {"title": "a"})
    assert tried == pages.answers(200, 200, 200, 404)
    saved = pages.statuses("post", page(integration), {"title": "a"})
    assert saved == pages.answers(302, 403, 403, 404)
    assert ">Save</button>" in pages.text("manager", page(integration))
    text = pages.text("responder", page(integration))
    assert ">Save</button>" not in text and "managers of Payments can save them" in text


def test_other_sources_have_no_fields(pages, integration):
    other = IntegrationFactory(service=integration.service, source=Source.GRAFANA)
    assert pages.client("manager").get(page(other)).status_code == 404
    assert pages.client("manager").get(page(other, "fields-payload")).status_code == 404
    for name in ("integration-fields", "fields-preview"):
        assert pages.client("manager").post(page(other, name), {"title": "a"}).status_code == 404
    assert page(integration) in pages.text("observer", reverse("integration", args=[integration.pk]))


def test_first_event_is_awaited_and_shown_by_polling(pages, integration):
    responder = pages.client("responder")
    text = pages.text("responder", page(integration))
    assert "Waiting for the first event" in text and "every 2s" in text
    poll = page(integration, "fields-payload")
    assert responder.get(poll, {"seen": ""}).status_code == 204
    response = responder.post(page(integration, "fields-preview"), {})
    assert "Nothing has come yet to try the fields on" in response.text

    receive(integration, b'{"check":{"a b":[{"n":1.50}]}}')
    response = responder.get(poll, {"seen": ""})
    assert response["HX-Trigger-After-Swap"] == "payload-shown"
    assert "Waiting" not in response.text and "every 5s" in response.text
    assert 'data-path="check.&quot;a b&quot;[0].n">&quot;n&quot;</button>: 1.50' in response.text
    assert responder.get(poll, {"seen": response.context["seen"]}).status_code == 204


def test_a_payload_is_chosen_and_what_is_newer_does_not_take_its_place(pages, integration):
    receive(integration, b'{"n": "first"}', b'{"n": "second"}')
    manager, poll = pages.client("manager"), page(integration, "fields-payload")
    first = samples.recent(integration.pk)[1].at.isoformat()
    preview = page(integration, "fields-preview")

    def title(sample):
        return (
            manager.post(preview, {"title": "n", "sample": sample}).context["preview"].alerts[0].event.title
        )

    assert "&quot;second&quot;" in manager.get(poll).context["text"]
    chosen = manager.get(poll, {"sample": first})
    assert "first" in chosen.context["text"] and f'value="{first}" selected' in chosen.text
    receive(integration, b'{"n": "third"}')
    again = manager.get(poll, {"sample": first, "seen": chosen.context["seen"]})
    assert "first" in again.context["text"] and len(again.context["recent"]) == 3
    assert manager.get(poll, {"sample": first, "seen": again.context["seen"]}).status_code == 204
    assert (title(first), title(""), title("no longer there")) == ("first", "third", "third")


def test_preview_says_what_would_come_of_it_and_what_cannot_be_picked(pages, integration):
    receive(integration, PAYLOAD)
    given = {
        "title": "event.headline",
        "severity": "event.prio",
        "severities": "P2 = critical",
        "source": "nothing.here",
        "labels": "host = event.target.host",
        "link": "event.url",
    }
    response = pages.client("observer").post(page(integration, "fields-preview"), given)
    [picked] = response.context["preview"].alerts
    assert (picked.event.title, picked.event.severity, picked.event.status) == (
        "Certificate of shop.example.com expires in 3 days",
        "critical",
        "firing",
    )
    assert picked.event.labels["host"] == "shop.example.com"
    assert picked.errors == {"source": "It picks nothing from this payload."}
    for words in (
        "Fires",
        "Critical",
        "chk-8812-2026-11-23",
        "https://checks.example.com/8812",
        "<b>host</b>",
    ):
        assert words in response.text
    assert "Its usual names are used" in response.text
    assert not Alert.objects.exists() and Integration.objects.get().settings == {}


def test_preview_tells_faults_and_goes_on_with_the_rest(pages, integration):
    receive(integration, b'{"a": "<b>", "state": "ok"}')
    given = {"title": "a", "status": "state", "source": "a b", "labels": "host", "severities": "x = odd"}
    response = pages.client("manager").post(page(integration, "fields-preview"), given)
    assert [label for label, _ in response.context["faults"]] == [
        "What its values stand for",
        "Source",
        "Labels",
    ]
    [picked] = response.context["preview"].alerts
    assert (picked.event.title, picked.event.status) == ("<b>", "resolved")
    assert "&lt;b&gt;" in response.text and "Resolves" in response.text


def test_preview_of_several_and_of_none(pages, integration):
    receive(integration, json.dumps({"problems": [{"title": f"n{n}"} for n in range(30)]}).encode())
    preview, manager = page(integration, "fields-preview"), pages.client("manager")
    response = manager.post(preview, {"each": "problems"})
    assert response.context["preview"].total == 30 and len(response.context["preview"].alerts) == 20
    assert "30 alerts in all" in response.text
    assert "it picks an empty list" in manager.post(preview, {"each": "problems[?title == 'x']"}).text
    receive(integration, json.dumps([{"title": "x"}] * 2001).encode())
    assert "A payload may have 2,000 alerts." in manager.post(preview, {}).text


@pytest.mark.parametrize(
    ("body", "refusal", "words"),
    [
        (b"{", "The body is not valid JSON.", "The body is not valid JSON"),
        (b"[" * 5000, "", "nested too deeply"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "", "longer than what is kept"),
    ],
)
def test_payloads_that_cannot_be_tried_are_shown_and_said(pages, integration, body, refusal, words):
    receive(integration, body, refusal=refusal)
    text = pages.text("manager", page(integration))
    assert refusal in text and "data-path" not in text
    assert words in pages.client("manager").post(page(integration, "fields-preview"), {}).text


def test_fields_are_saved_as_they_are_filled_in_and_shown_again(pages, integration):
    integration.settings = {"email": {"dedup": "thread"}}
    integration.save()
    manager = pages.client("manager")
    assert manager.post(page(integration), FILLED_IN)["Location"] == page(integration)
    assert Integration.objects.get().settings == {"email": {"dedup": "thread"}, "fields": FIELDS}
    response = manager.get(page(integration))
    assert response.context["is_shown_whole"] and not response.context["fault"]
    assert "P1 = critical\na=b = low</textarea>" in response.text
    assert "they count for the next alert" in response.text
    assert (
        "Alerts, title, dedup key, status, severity, name, source, description, link and labels picked"
        in (pages.text("observer", reverse("integration", args=[integration.pk])))
    )
    # Nothing is the usual names again.
    assert manager.post(page(integration), {}).status_code == 302
    assert Integration.objects.get().settings["fields"] == {}


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"title": "a b"}, "title", "This is not a JMESPath expression"),
        ({"each": "{{ payload."}, "each", "This is not a template"),
        ({"title": "x" * 1001}, "title", "at most 1000 characters"),
        ({"link": "\0"}, "link", "Null characters are not allowed."),
        ({"status": "{% for x in payload %}{% endfor %}"}, "status", "cannot be used here"),
        ({"resolved": "x" * 101}, "resolved", "Each may have at most 100 characters."),
        ({"acknowledged": "x\n" * 51}, "acknowledged", "Give at most 50."),
        ({"severities": "P1: critical"}, "severities", "“P1: critical” is not like “name = value”."),
        ({"severities": "P1 = awful"}, "severities", "P1: “awful” is none of critical, high, medium, low."),
        ({"severities": "P1 = low\nP1 = high"}, "severities", "“P1” is there twice."),
        ({"labels": "host ="}, "labels", "is not like “name = value”."),
        ({"labels": f"{'x' * 101} = a"}, "labels", "A name may have at most 100 characters."),
        ({"labels": "host = a b"}, "labels", "host: This is not a JMESPath expression"),
        ({"labels": "\n".join(f"l{n} = a" for n in range(21))}, "labels", "Give at most 20."),
    ],
)
def test_faults_stand_at_their_fields_and_nothing_is_saved(pages, integration, given, field, words):
    response = pages.client("manager").post(page(integration), {"source": "host", **given})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert words in str(response.context["form"].errors[field])
    assert Integration.objects.get().settings == {}


def test_stored_fields_that_can_no_longer_be_read_are_told_and_can_be_put_right(pages, integration):
    integration.settings = {"fields": {"title": "no longer understood", "source": 5, "moon": "x"}}
    integration.save()
    receive(integration, b'{"title": "Usual"}')
    text = pages.text("manager", page(integration))
    assert "can no longer be read" in text and 'value="no longer understood"' in text
    for odd in (["x"], "x", None):
        integration.settings = {"fields": odd}
        integration.save()
        assert "can no longer be read" in pages.text("manager", page(integration))
    assert "Found by their usual names" in pages.text(
        "observer", reverse("integration", args=[integration.pk])
    )
    assert pages.client("manager").post(page(integration), {"title": "title"}).status_code == 302
    assert Integration.objects.get().settings == {"fields": {"title": "title"}}


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "{{ payload.a }}\n{{ payload.b }}"},
        {"labels": {"a=b": "c"}},
        {"resolved": ["a\nb"]},
        {"resolved": [" a"]},
    ],
)
def test_fields_that_programs_wrote_are_not_cut_by_surprise(pages, integration, fields):
    integration.settings = {"fields": fields}
    integration.save()
    assert not is_shown_whole(fields)
    assert "Not all of them can be shown here" in pages.text("manager", page(integration))


def test_form_gives_what_is_filled_in_and_right():
    assert FieldsForm({}).given == {} and is_shown_whole({}) and is_shown_whole(FIELDS)
    form = FieldsForm({"title": " a ", "source": "a b", "labels": "x = y"})
    assert form.given == {"title": "a", "labels": {"x": "y"}}


def test_pages_take_the_same_queries_however_much_came(pages, integration):
    names = ("integration-fields", "fields-payload")
    receive(integration, PAYLOAD)
    one = [pages.count_queries("observer", page(integration, name)) for name in names]
    receive(integration, PAYLOAD, PAYLOAD)
    assert [pages.count_queries("observer", page(integration, name)) for name in names] == one
    assert one[1] <= 3  # session, person, integration


def test_page_shows_no_key_of_a_payload_as_html(pages, integration):
    receive(integration, b'{"<script>": "</code><script>alert(1)</script>"}')
    text = pages.text("manager", page(integration))
    assert "<script>alert" not in text and "&lt;script&gt;" in text


@pytest.mark.django_db(transaction=True)
def test_saved_fields_are_heeded_with_the_next_alert(pages, integration):
    path = f"/integrations/generic/{integration.key}"

    def send():
        answer = request(path=path, content=PAYLOAD, headers=JSON)
        assert answer.status_code == 202, answer.text
        return Alert.objects.get().title

    assert send() == "Certificate of shop.example.com expires in 3 days"
    manager = pages.client("manager")
    assert manager.post(page(integration), {"title": "event.check"}).status_code == 302
    assert send() == "certificate-expiry"
    assert manager.post(page(integration), {"title": "{{ payload.event.prio }}!"}).status_code == 302
    assert send() == "P2!"


def test_sample_is_decoded_as_the_door_does_it(integration):
    from alerts.fields import NO_FIELDS
    from alerts.preview import preview_of_sample

    sample = Sample(None, b'{"title": "a\\u0000b"}', JSON)
    assert preview_of_sample(integration, NO_FIELDS, sample).alerts[0].event.title == "a\ufffdb"
