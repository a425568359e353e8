"""A contact method is used once its owner has shown to be there."""

import re

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.urls import reverse

from incidents.enums import Urgency
from notifications import addresses, codes, contacts, outbox, verification
from notifications.enums import Channel, Purpose
from notifications.exceptions import (
    CodeExpired,
    ContactMethodUnverified,
    TooManyCodes,
    TooManyTries,
    WrongCode,
)
from notifications.models import ContactMethod, MailboxMessage, Notification, Verification
from openalert.ids import uuid7
from openalert.tests.pages import Pages
from teams.tests.cast import Cast, answers
from teams.tests.factories import UserFactory

from .factories import ContactMethodFactory, NotificationRuleFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def method(db):
    return ContactMethodFactory(verified_at=None)


@pytest.fixture
def cast(db):
    cache.clear()  # the throttle counts there
    return Cast()


@pytest.fixture
def with_mailbox(settings):
    settings.EMAIL_BACKEND = "notifications.mailbox.MailboxBackend"


def sent_code(method):
    notification = verification.send_code(method.pk)
    outbox.deliver(notification.pk)
    mail = MailboxMessage.objects.latest("created_at")
    assert mail.recipient == method.address
    return re.search(r"\b\d{6}\b", mail.text)[0]


def test_the_code_that_arrives_verifies(method, with_mailbox, clock):
    code = sent_code(method)
    assert verification.verify(method.pk, f" {code[:3]} {code[3:]} ").verified_at == clock.now
    assert verification.verify(method.pk, "anything").is_verified  # again, and it stays so
    method.refresh_from_db()
    assert method.is_usable


def test_the_code_is_nowhere_in_the_database(method, with_mailbox):
    notification = verification.send_code(method.pk)
    code = codes.code_of(notification.pk)
    rows = [*Verification.objects.values(), *Notification.objects.values(), *ContactMethod.objects.values()]
    assert code not in " ".join(
        str(value) for row in rows for value in row.values() if not hasattr(value, "hex")
    )


def test_codes_differ_and_hang_on_the_secret_key(settings):
    made = {codes.code_of(uuid7()) for _ in range(50)}
    assert len(made) > 45 and all(re.fullmatch(r"\d{6}", code) for code in made)
    pk = uuid7()
    before = codes.code_of(pk)
    settings.SECRET_KEY = "another-secret-key-0123456789-abcdefgh"
    assert codes.code_of(pk) != before


def test_a_wrong_code_counts_and_five_are_enough(method, with_mailbox):
    code = sent_code(method)
    wrong = "000000" if code != "000000" else "111111"
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongCode, match=rf"{left} tr"):
            verification.verify(method.pk, wrong)
    with pytest.raises(TooManyTries):
        verification.verify(method.pk, code)
    method.refresh_from_db()
    assert not method.is_verified


def test_a_code_is_good_for_ten_minutes_and_until_the_next(method, with_mailbox, clock):
    first = sent_code(method)
    clock.advance(seconds=30)
    second = sent_code(method)
    if first != second:
        with pytest.raises(WrongCode):
            verification.verify(method.pk, first)
    clock.advance(minutes=10)
    with pytest.raises(CodeExpired):
        verification.verify(method.pk, second)


def test_a_code_for_another_address_is_void(method, with_mailbox):
    code = sent_code(method)
    ContactMethod.objects.update(address="elsewhere@example.org")
    with pytest.raises(CodeExpired):
        verification.verify(method.pk, code)


@pytest.mark.parametrize("given", ["", "abc", "٣٣٣٣٣٣", "1" * 20])
def test_nonsense_is_a_wrong_code(method, with_mailbox, given):
    sent_code(method)
    with pytest.raises(WrongCode):
        verification.verify(method.pk, given)


def test_nobody_is_flooded_with_codes(method, clock):
    for _ in range(5):
        verification.send_code(method.pk)
        clock.advance(seconds=21)
    with pytest.raises(TooManyCodes):
        verification.send_code(method.pk)
    # Not by removing it and adding it again either.
    again = ContactMethodFactory(user=method.user, address="x@example.org", verified_at=None)
    again.address = method.address
    method.delete()
    again.save()
    with pytest.raises(TooManyCodes):
        verification.send_code(again.pk)
    clock.advance(hours=1)
    verification.send_code(again.pk)
    with pytest.raises(TooManyCodes):  # two within twenty seconds
        verification.send_code(again.pk)


def test_no_page_goes_to_what_is_not_verified(method, cast):
    user = method.user
    NotificationRuleFactory(user=user, contact_method=method)
    assert contacts.rules_for([user], Urgency.HIGH) == {}
    with pytest.raises(ContactMethodUnverified):
        outbox.send_test(user=user, contact_method=method)
    good = ContactMethodFactory(user=user)
    assert [rule.contact_method for rule in contacts.rules_for([user], Urgency.HIGH)[user.pk]] == [good]


@pytest.mark.parametrize(
    ("channel", "address", "is_known"),
    [
        (Channel.IN_APP, "", True),
        (Channel.EMAIL, "ANA@example.org", True),  # an administrator gave her this address
        (Channel.EMAIL, "ana@home.example.org", False),
        (Channel.SMS, "+14155550123", False),
        (Channel.VOICE, "+14155550123", False),
        (Channel.WEB_PUSH, "https://example.org/x", True),
        (Channel.SLACK, "U024BE7LH", False),
        (Channel.TEAMS, "https://example.org/x", False),
    ],
)
def test_whose_address_needs_no_code(channel, address, is_known):
    method = ContactMethod(user=UserFactory(name="ana"), channel=channel, address=address)
    contacts.add_method(method)
    assert method.is_verified == is_known


# Through the API


def test_codes_are_their_owners_alone(cast, with_mailbox):
    method = ContactMethodFactory(user=cast.responder, verified_at=None)
    path = f"/api/v1/contact-methods/{method.pk}"
    only_responder = {"manager": 404, "observer": 404, "outsider": 404}
    assert cast.statuses("post", f"{path}/send-code") == answers(responder=202, **only_responder)
    code = sent_code(method)
    assert cast.statuses("post", f"{path}/verify", {"code": code}) == answers(responder=200, **only_responder)
    wrong = cast.api("responder").post(f"{path}/verify", {"code": "x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "code")


def test_a_new_address_is_to_be_verified_anew(cast):
    method = ContactMethodFactory(user=cast.responder)
    api, path = cast.api("responder"), f"/api/v1/contact-methods/{method.pk}"
    assert api.patch(path, {"label": "work"}).json()["verified_at"] is not None
    assert api.patch(path, {"verified_at": None}).json()["verified_at"] is not None
    assert api.patch(path, {"address": "new@example.org"}).json()["verified_at"] is None
    assert api.patch(path, {"verified_at": "2026-01-01T00:00:00Z"}).json()["verified_at"] is None
    made = api.post("/api/v1/contact-methods", {"channel": "email", "address": "b@example.org"}).json()
    assert made["verified_at"] is None


def test_a_way_that_is_off_sends_no_codes(cast):
    method = ContactMethodFactory(
        user=cast.responder, channel=Channel.SMS, address="+14155550123", verified_at=None
    )
    response = cast.api("responder").post(f"/api/v1/contact-methods/{method.pk}/send-code")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "transport_off")


# On one's own page


def test_the_page_leads_through_it(with_mailbox):
    pages = Pages(Cast())
    client, user = pages.client("responder"), pages.cast.responder
    added = client.post(
        reverse("method-new"), {"channel": "email", "address": "rui@home.example.org"}, follow=True
    )
    assert "Its code is on its way" in added.text
    assert "Not verified: no page goes here" in added.text and 'name="code"' in added.text
    method = ContactMethod.objects.get(address="rui@home.example.org")
    outbox.deliver(Notification.objects.get(purpose=Purpose.VERIFICATION).pk)
    code = re.search(r"\b\d{6}\b", MailboxMessage.objects.get().text)[0]
    path = reverse("method-verify", args=[method.pk])
    wrong = client.post(path, {"code": "1"}, headers=HTMX)
    assert wrong.status_code == 422 and "This is not the code. 4 tries are left." in wrong.text
    assert pages.statuses("post", path, {"code": code}) == pages.answers(404, 302, 404, 404)
    assert client.post(path, {"code": code}).status_code == 302
    assert "Not verified" not in client.get("/me/").text
    assert user.contact_methods.get().is_usable
    assert pages.statuses("post", reverse("method-code", args=[method.pk])) == pages.answers(
        404, 302, 404, 404
    )


def test_a_code_that_ran_out_is_said(with_mailbox, clock):
    pages = Pages(Cast())
    client = pages.client("responder")
    method = ContactMethodFactory(user=pages.cast.responder, verified_at=None)
    verification.send_code(method.pk)
    clock.advance(minutes=11)
    answer = client.post(reverse("method-verify", args=[method.pk]), {"code": "123456"}, headers=HTMX)
    assert answer.status_code == 422 and "This code is too old" in answer.text
    assert "Send a code" in answer.text
    assert client.post(reverse("method-code", args=[method.pk]), headers=HTMX).status_code == 204
    refused = client.post(reverse("method-code", args=[method.pk]), headers=HTMX)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, "too_many_codes")


def test_what_is_off_is_said(settings):
    pages = Pages(Cast())
    assert "Not available in this installation: SMS, Phone call" in pages.text("responder", "/me/")
    pages.cast.manager.is_staff = True
    pages.cast.manager.save()
    assert "Set TWILIO_ACCOUNT_SID" in pages.text("manager", "/me/")
    settings.WEB_PUSH_CONTACT = "mailto:admin@example.org"
    settings.WEB_PUSH_PRIVATE_KEY = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
    assert "data-push-key=" in pages.text("responder", "/me/")


def test_my_page_takes_the_same_queries_however_many_are_unverified():
    pages = Pages(Cast())

    def add():
        method = ContactMethodFactory(user=pages.cast.responder, verified_at=None)
        verification.send_code(method.pk)

    add()
    one = pages.count_queries("responder", "/me/")
    add()
    add()
    assert pages.count_queries("responder", "/me/") == one


def test_the_service_worker_stands_at_the_root(client):
    response = client.get("/service-worker.js")
    assert (response.status_code, response["Content-Type"]) == (200, "text/javascript")
    assert b"showNotification" in response.content


# Addresses


@pytest.mark.parametrize(
    ("channel", "given", "stored"),
    [
        (Channel.SMS, "+1 (415) 555-2671", "+14155552671"),
        (Channel.VOICE, " +49 30 123456 ", "+4930123456"),
        (Channel.SLACK, " U024BE7LH ", "U024BE7LH"),
        (Channel.IN_APP, "x", ""),
        (Channel.APPRISE, "ntfys://pages", "ntfys://pages"),
        (Channel.TEAMS, "https://example.org/hook?sig=x", "https://example.org/hook?sig=x"),
    ],
)
def test_addresses_are_stored_in_one_spelling(channel, given, stored):
    assert addresses.checked(channel, given) == stored


def test_numbers_of_the_installations_country_need_no_code(settings):
    settings.PHONE_REGION = "DE"
    assert addresses.checked(Channel.SMS, "030 123456") == "+4930123456"


@pytest.mark.parametrize(
    ("channel", "given"),
    [
        (Channel.SMS, "030 123456"),
        (Channel.SMS, "+1 234"),
        (Channel.SMS, "+1 900 555 0100"),
        (Channel.SMS, "tomorrow"),
        (Channel.VOICE, ""),
        (Channel.SLACK, "@ana"),
        (Channel.SLACK, ""),
        (Channel.TEAMS, "http://example.org/x"),
        (Channel.TEAMS, "https://[x/"),
        (Channel.TEAMS, "https://me:pw@example.org/x"),
        (Channel.TEAMS, "https://exämple.org/x"),
        (Channel.TEAMS, "https://example.org/a\nb"),
        (Channel.MOBILE_PUSH, "short"),
        (Channel.APPRISE, "json://10.0.0.1/"),
        (Channel.APPRISE, "tgram://"),
        (Channel.EMAIL, "x" * 330 + "@example.org"),
    ],
)
def test_addresses_that_reach_nobody_are_refused(channel, given):
    with pytest.raises(ValidationError):
        addresses.checked(channel, given)


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        (Channel.EMAIL, "ana@example.org", "ana@example.org"),
        (Channel.TEAMS, "https://x.example.org/very/secret/abcdef", "x.example.org …abcdef"),
        (Channel.WEB_PUSH, "https://push.example.org/secret123456", "push.example.org …123456"),
        (Channel.APPRISE, "tgram://123:secret/4567", "tgram://…4567"),
    ],
)
def test_secrets_are_not_shown(channel, address, shown):
    assert addresses.shown(channel, address) == shown
    assert "secret" not in str(ContactMethod(channel=channel, address=address))


def test_what_was_there_before_is_still_used(db):
    """The migration verifies what people were paged by until then."""
    method = ContactMethodFactory(verified_at=None)
    migration = MigrationLoader(connection).get_migration("notifications", "0006_verify_known_methods")
    with connection.cursor() as cursor:
        cursor.execute(migration.operations[-1].sql)
    method.refresh_from_db()
    assert method.verified_at == method.created_at
