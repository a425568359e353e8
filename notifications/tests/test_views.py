"""How people are reached and what reached them, played by the cast."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents.enums import Urgency
from incidents.models import LiveEvent
from incidents.tests.factories import IncidentFactory
from notifications import contacts, outbox
from notifications.enums import Channel, NotificationStatus, Purpose
from notifications.models import (
    ContactMethod,
    MailboxMessage,
    Notification,
    NotificationRule,
    QuietHours,
)
from notifications.tests.factories import (
    ContactMethodFactory,
    DeliveryAttemptFactory,
    NotificationFactory,
    NotificationRuleFactory,
)
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
ME, PAGES, SEEN, UNREAD, MAILBOX = "/me/", "/me/pages/", "/me/pages/seen/", "/me/unread/", "/mailbox/"


@pytest.fixture
def pages() -> Pages:
    return Pages(Cast())


@pytest.fixture
def cast(pages):
    return pages.cast


@pytest.fixture
def client(pages):
    """The responder's browser."""
    return pages.client("responder")


@pytest.fixture
def email(cast):
    return ContactMethodFactory(user=cast.responder, address="rui@example.org")


@pytest.fixture
def with_mailbox(settings):
    settings.EMAIL_BACKEND = "notifications.mailbox.MailboxBackend"


def by(method, action):
    return reverse(f"method-{action}", args=[method.pk])


def in_app_page(user, **values):
    method = ContactMethod.objects.filter(user=user, channel=Channel.IN_APP).first()
    method = method or ContactMethodFactory(user=user, channel=Channel.IN_APP)
    values = {"status": NotificationStatus.SENT, **values}
    return NotificationFactory(user=user, contact_method=method, **values)


# Contact methods


def test_opening_the_page_gives_the_default_methods(pages, cast):
    assert pages.statuses("get", ME) == pages.answers(200, 200, 200, 200)
    text = pages.text("responder", ME)
    assert f"At once: in the app and by email to {cast.responder.email}." in text
    assert cast.responder.contact_methods.count() == 2
    assert not cast.manager.contact_methods.exists()


def test_a_new_method_is_used_at_once(client, cast):
    assert client.get(reverse("method-new")).status_code == 405
    assert '<option value="email" selected>' in client.get(ME).text
    ContactMethod.objects.all().delete()
    given = {"channel": "email", "address": "rui@work.example.org", "label": "work"}
    assert client.post(reverse("method-new"), given)["Location"] == ME
    method = ContactMethod.objects.get()
    assert (method.user, method.address, method.label) == (cast.responder, "rui@work.example.org", "work")
    rules = NotificationRule.objects.filter(contact_method=method, delay_minutes=0)
    assert {rule.urgency for rule in rules} == set(Urgency)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"channel": "email", "address": "nonsense"}, "address"),
        ({"channel": "email", "address": ""}, "address"),
        ({"channel": "email", "address": "RUI@example.org"}, "__all__"),
        ({"channel": "pigeon", "address": "roof@example.org"}, "channel"),
    ],
)
def test_a_faulty_method_is_not_added(client, email, given, field):
    for headers, template in (({}, "notifications/me.html"), (HTMX, "notifications/_reach.html")):
        response = client.post(reverse("method-new"), given, headers=headers)
        assert (response.status_code, next(t.name for t in response.templates)) == (422, template)
        assert list(response.context["method_form"].errors) == [field]
    assert ContactMethod.objects.count() == 1


def test_methods_are_switched_off_and_on_and_removed(client, email):
    client.post(by(email, "enabled"), {"is_enabled": "0"})
    email.refresh_from_db()
    assert not email.is_enabled
    client.post(by(email, "enabled"), {"is_enabled": "1"})
    email.refresh_from_db()
    assert email.is_enabled
    response = client.post(by(email, "remove"), headers=HTMX)
    assert response.status_code == 204
    assert "reach-changed" in json.loads(response["HX-Trigger"])
    assert not ContactMethod.objects.exists()


def test_pages_in_the_app_are_offered_to_those_who_have_none(client, cast, email):
    offered = dict(client.get(ME).context["method_form"].fields["channel"].choices)
    assert list(offered) == ["in_app", "email", "teams", "apprise"]  # the others have no credentials here
    assert client.post(reverse("method-new"), {"channel": "in_app"}).status_code == 302
    del offered["in_app"]
    assert dict(client.get(ME).context["method_form"].fields["channel"].choices) == offered
    again = client.post(reverse("method-new"), {"channel": "in_app"})
    assert "channel" in again.context["method_form"].errors


def test_a_method_that_the_installation_cannot_use_says_so(client, cast):
    method = ContactMethodFactory(user=cast.responder, channel=Channel.SMS, address="+14155550123")
    NotificationRuleFactory(user=cast.responder, contact_method=method)
    text = client.get(ME).text
    assert text.count("Not available here") == 2  # the method, and its rule
    assert "Not available here: no page goes out" in text


@pytest.mark.parametrize("action", ["enabled", "remove", "test"])
def test_other_peoples_methods_do_not_exist(pages, email, action):
    path = by(email, action)
    assert pages.statuses("post", path) == pages.answers(404, 302, 404, 404)


def test_somebody_without_a_working_method_is_told(client, email):
    email.is_enabled = False
    email.save()
    assert client.get(ME).text.count("You cannot be reached.") == 2


def test_somebody_who_is_reached_in_the_app_only_is_told(client, cast):
    ContactMethodFactory(user=cast.responder, channel=Channel.IN_APP)
    assert client.get(ME).text.count("Only in the app.") == 2


# Rules


def test_rules_are_told_in_words_by_their_delay(client, cast, email):
    in_app = ContactMethodFactory(user=cast.responder, channel=Channel.IN_APP)
    NotificationRuleFactory(user=cast.responder, contact_method=email, delay_minutes=2)
    NotificationRuleFactory(user=cast.responder, contact_method=in_app)
    text = client.get(ME).text
    assert "At once: in the app; after 2 min: by email to rui@example.org." in text
    assert text.count("No rule works.") == 1  # of low urgency there is none


def test_a_rule_is_added_changed_and_removed(client, email):
    given = {"urgency": "high", "contact_method": email.pk, "delay_minutes": 5}
    assert client.post(reverse("rule-new"), given).status_code == 302
    assert client.post(reverse("rule-new"), {**given, "delay_minutes": 9}, headers=HTMX).status_code == 204
    rule = NotificationRule.objects.get()
    assert (rule.urgency, rule.contact_method, rule.delay_minutes) == (Urgency.HIGH, email, 9)
    client.post(reverse("rule-remove", args=[rule.pk]))
    assert not NotificationRule.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"delay_minutes": -1}, "delay_minutes"),
        ({"delay_minutes": 1441}, "delay_minutes"),
        ({"delay_minutes": "soon"}, "delay_minutes"),
        ({"contact_method": ""}, "contact_method"),
        ({"urgency": "someday"}, "urgency"),
    ],
)
def test_a_faulty_rule_is_not_added(client, email, change, field):
    given = {"urgency": "low", "contact_method": email.pk, "delay_minutes": 5, **change}
    response = client.post(reverse("rule-new"), given)
    assert response.status_code == 422
    shown = {reach.urgency: form for reach, form in response.context["reaches"]}
    if field != "urgency":
        assert list(shown[Urgency.LOW].errors) == [field]
        assert not shown[Urgency.HIGH].errors
    assert not NotificationRule.objects.exists()


def test_other_peoples_methods_and_rules_are_out_of_reach(pages, client, email):
    foreign = {"urgency": "high", "contact_method": ContactMethodFactory().pk, "delay_minutes": 0}
    assert client.post(reverse("rule-new"), foreign).status_code == 422
    rule = NotificationRuleFactory(user=email.user, contact_method=email)
    path = reverse("rule-remove", args=[rule.pk])
    assert pages.statuses("post", path) == pages.answers(404, 302, 404, 404)


def test_my_page_takes_the_same_queries_however_many_methods(pages, cast):
    def add():
        method = ContactMethodFactory(user=cast.responder)
        NotificationRuleFactory(user=cast.responder, contact_method=method)
        outbox.send_test(user=cast.responder, contact_method=method)

    add()
    one = pages.count_queries("responder", ME)
    add()
    add()
    assert pages.count_queries("responder", ME) == one


# Test pages


def test_a_test_page_is_sent_and_its_result_told(client, email, with_mailbox):
    path = by(email, "test")
    assert client.get(path).text == "\n"
    assert client.post(path, headers=HTMX).status_code == 204
    test = Notification.objects.get(purpose=Purpose.TEST)
    waiting = client.get(path).text
    assert "Test on its way" in waiting and "every 2s" in waiting
    outbox.deliver(test.pk)
    done = client.get(path).text
    assert "Test sent" in done and "every 2s" not in done
    assert MailboxMessage.objects.get().recipient == "rui@example.org"


def test_the_result_of_a_test_that_fails_says_why(client, email):
    path = by(email, "test")
    values = {
        "user": email.user,
        "contact_method": email,
        "purpose": Purpose.TEST,
        "incident": None,
        "run_id": None,
        "last_error": "<no such mailbox>",
    }
    test = NotificationFactory(status=NotificationStatus.DEAD, **values)
    assert "Test failed" in client.get(path).text and "&lt;no such mailbox&gt;" in client.get(path).text
    test.status = NotificationStatus.PENDING
    test.save()
    assert "trying again" in client.get(path).text


def test_a_switched_off_method_is_not_tested(client, email):
    email.is_enabled = False
    email.save()
    response = client.post(by(email, "test"), headers=HTMX)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "contact_method_disabled")


def test_nobody_is_flooded_with_test_pages(client, email, clock):
    path = by(email, "test")
    for _ in range(10):
        assert client.post(path, headers=HTMX).status_code == 204
    response = client.post(path, headers=HTMX)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (429, "too_many_test_pages")
    clock.advance(minutes=1)
    assert client.post(path, headers=HTMX).status_code == 204


# Pages in the app


def test_my_pages_are_mine_and_sent_in_the_app(pages, client, cast, email):
    own = in_app_page(cast.responder)
    in_app_page(cast.manager)
    in_app_page(cast.responder, status=NotificationStatus.CANCELLED)
    NotificationFactory(user=cast.responder, contact_method=email, status=NotificationStatus.SENT)
    assert pages.statuses("get", PAGES) == pages.answers(200, 200, 200, 200)
    response = client.get(PAGES)
    assert list(response.context["page"]) == [own]
    assert own.incident.get_absolute_url() in response.text
    assert "1 unseen" in response.text


def test_pages_are_marked_as_seen_one_or_all(client, cast):
    first, second, third = (in_app_page(cast.responder) for _ in range(3))
    foreign = in_app_page(cast.manager)
    unseen = Notification.objects.filter(seen_at=None)
    response = client.post(SEEN, {"id": [first.pk, foreign.pk]}, headers=HTMX)
    assert "pages-seen" in json.loads(response["HX-Trigger"])
    assert set(unseen.all()) == {second, third, foreign}
    assert client.post(SEEN)["Location"] == PAGES
    assert set(unseen.all()) == {foreign}
    assert client.post(SEEN, {"id": "nonsense"}, headers=HTMX).status_code == 204


def test_the_bell_counts_what_is_unseen(pages, client, cast):
    assert pages.statuses("get", UNREAD) == pages.answers(200, 200, 200, 200)
    assert "unseen" not in client.get(UNREAD).text
    for _ in range(2):
        in_app_page(cast.responder)
    in_app_page(cast.responder, seen_at=timezone.now())
    assert 'aria-label="My pages: 2 unseen"' in client.get(UNREAD).text


def test_my_pages_take_the_same_queries_however_many(pages, cast):
    in_app_page(cast.responder)
    one = pages.count_queries("responder", PAGES)
    for _ in range(2):
        in_app_page(cast.responder)
    assert pages.count_queries("responder", PAGES) == one


def test_titles_are_escaped(client, cast):
    incident = IncidentFactory(service=ServiceFactory(team=cast.team), title="<script>alert(1)</script>")
    in_app_page(cast.responder, incident=incident)
    assert "<script>alert" not in client.get(PAGES).text


# The mailbox


def mail(recipient, **values):
    return MailboxMessage.objects.create(
        sender="openalert@example.org", recipient=recipient, subject="Page", **values
    )


def shown(client, path=MAILBOX):
    return list(client.get(path).context["page"])


def test_without_the_mailbox_backend_there_is_no_mailbox(pages, client, cast):
    path = reverse("mailbox-message", args=[mail(cast.responder.email).pk])
    for address in (MAILBOX, path):
        assert pages.statuses("get", address) == pages.answers(404, 404, 404, 404)
    assert MAILBOX not in client.get(ME).text


def test_people_see_the_mails_to_their_own_addresses(pages, client, cast, email, with_mailbox):
    own = [mail(cast.responder.email.upper()), mail("Rui@example.org")]
    foreign = mail(cast.manager.email)
    assert shown(client) == own[::-1]
    assert shown(client, f"{MAILBOX}?recipient={foreign.recipient}") == own[::-1]
    paths = [reverse("mailbox-message", args=[row.pk]) for row in (own[1], foreign)]
    assert pages.statuses("get", paths[0]) == pages.answers(404, 200, 404, 404)
    assert client.get(paths[1]).status_code == 404
    assert MAILBOX in client.get(ME).text


def test_administrators_see_all_mails_and_choose_a_recipient(client, cast, with_mailbox):
    cast.responder.is_superuser = True
    cast.responder.save()
    first, second = mail("ana@example.org"), mail("bo@example.org")
    assert shown(client) == [second, first]
    assert shown(client, f"{MAILBOX}?recipient=ANA@example.org") == [first]
    assert client.get(MAILBOX).context["recipients"] == ["ana@example.org", "bo@example.org"]


def test_the_mailbox_takes_the_same_queries_however_full(pages, cast, with_mailbox):
    mail(cast.responder.email)
    one = pages.count_queries("responder", MAILBOX)
    mail(cast.responder.email)
    mail(cast.responder.email)
    assert pages.count_queries("responder", MAILBOX) == one


def test_a_mail_is_harmless_and_its_links_work(client, cast, with_mailbox):
    row = mail(
        cast.responder.email,
        text="<script>alert(1)</script> see https://example.org/incidents/1/",
        html='<p onclick="alert(1)">"Hello"</p><script>alert(1)</script>',
    )
    path = reverse("mailbox-message", args=[row.pk])
    html = client.get(path).text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in html
    assert "<script>alert" not in html
    letter = client.get(reverse("mailbox-letter", args=[row.pk]))
    assert (
        "sandbox" in letter["Content-Security-Policy"]
        and "script-src" not in letter["Content-Security-Policy"]
    )
    text = client.get(f"{path}?as=text").text
    assert "<iframe" not in text and "<script>alert" not in text
    assert '<a href="https://example.org/incidents/1/" rel="nofollow">' in text


def test_a_test_page_by_email_is_told_to_the_persons_open_pages(
    email, with_mailbox, django_capture_on_commit_callbacks
):
    test = outbox.send_test(user=email.user, contact_method=email)
    with django_capture_on_commit_callbacks(execute=True):
        outbox.deliver(test.pk)
    told = LiveEvent.objects.values_list("user_id", "kind", "data")
    assert list(told) == [(email.user.pk, "notification.sent", {"notification_id": str(test.pk)})]


def test_old_tests_are_no_news(client, email, clock):
    outbox.send_test(user=email.user, contact_method=email)
    clock.advance(minutes=11)
    assert "Test on its way" not in client.get(ME).text


# Broken methods, quiet hours, deliveries


def test_a_broken_method_says_so_and_is_used_again_when_its_owner_says_so(pages, client, email):
    contacts.mark_broken(email, reason="<no such mailbox>", now=timezone.now())
    text = client.get(ME).text
    assert "Broken" in text and "&lt;no such mailbox&gt;" in text
    assert pages.statuses("post", by(email, "mended")) == pages.answers(404, 302, 404, 404)
    client.post(by(email, "mended"), headers=HTMX)
    email.refresh_from_db()
    assert email.is_working
    assert "no such mailbox" not in client.get(ME).text


def test_quiet_hours_are_added_and_removed(pages, client, cast, email):
    given = {"starts": "22:00", "until": "07:30", "weekdays": ["4", "5"], "allowed_methods": [email.pk]}
    assert client.post(reverse("quiet-hours-new"), given, headers=HTMX).status_code == 204
    quiet = QuietHours.objects.get()
    assert (quiet.user, quiet.weekdays, list(quiet.allowed_methods.all())) == (
        cast.responder,
        [4, 5],
        [email],
    )
    assert "22:00 to 07:30, Friday and Saturday" in client.get(ME).text
    path = reverse("quiet-hours-remove", args=[quiet.pk])
    assert pages.statuses("post", path) == pages.answers(404, 302, 404, 404)
    client.post(path)
    assert not QuietHours.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"starts": "25:00"}, "starts"),
        ({"until": ""}, "until"),
        ({"weekdays": ["7"]}, "weekdays"),
        ({"weekdays": ["Friday"]}, "weekdays"),
        ({"allowed_methods": ["nonsense"]}, "allowed_methods"),
    ],
)
def test_faulty_quiet_hours_are_not_added(client, change, field):
    given = {"starts": "22:00", "until": "07:00", **change}
    response = client.post(reverse("quiet-hours-new"), given, headers=HTMX)
    assert (response.status_code, list(response.context["quiet_form"].errors)) == (422, [field])
    assert not QuietHours.objects.exists()


def test_other_peoples_methods_cannot_be_allowed(client):
    given = {"starts": "22:00", "until": "07:00", "allowed_methods": [ContactMethodFactory().pk]}
    assert client.post(reverse("quiet-hours-new"), given).status_code == 422


DELIVERIES = "/me/deliveries/"


def test_deliveries_are_mine_with_every_attempt(pages, client, cast, email):
    page = NotificationFactory(user=cast.responder, contact_method=email, status="sent", bundle_size=3)
    DeliveryAttemptFactory(notification=page, status="failed", error="<busy>")
    DeliveryAttemptFactory(notification=page, provider_id="SM1", request_id=page.pk)
    NotificationFactory(user=cast.responder, contact_method=email, hold="pause")
    NotificationFactory(user=cast.manager)
    assert pages.statuses("get", DELIVERIES) == pages.answers(200, 200, 200, 200)
    response = client.get(DELIVERIES)
    assert len(response.context["page"]) == 2
    for said in ("&lt;busy&gt;", "SM1", str(page.pk), "bundle of 3", "Waits: the provider asked for a pause"):
        assert said in response.text


def test_deliveries_take_the_same_queries_however_many(pages, cast):
    def add():
        DeliveryAttemptFactory(notification=NotificationFactory(user=cast.responder))

    add()
    one = pages.count_queries("responder", DELIVERIES)
    add()
    add()
    assert pages.count_queries("responder", DELIVERIES) == one
