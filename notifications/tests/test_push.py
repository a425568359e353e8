"""Push: to a browser, which decrypts what it gets, and to a phone app through FCM, by a real exchange of tokens."""

import base64
import json
import time
from datetime import timedelta
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from incidents.enums import Severity
from notifications.enums import Channel
from notifications.exceptions import DeliveryError
from notifications.messages import render
from notifications.models import ContactMethod
from notifications.transports import TRANSPORTS, mobile_push, web_push
from teams.tests.cast import Cast, answers
from teams.tests.factories import ServiceFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory
from .provider import Answer, Hang, Reset, as_json

pytestmark = pytest.mark.django_db


def url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def un64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """What a browser keeps of a subscription, and what it does with a message (RFC 8291, RFC 8188)."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.public = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.auth = b"sixteen bytes..."

    @property
    def keys(self):
        return {"p256dh": url64(self.public), "auth": url64(self.auth)}

    def decrypt(self, body: bytes) -> str:
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert len(record) <= size
        shared = self.private.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        )
        info = b"WebPush: info\0" + self.public + sender
        secret = HKDF(hashes.SHA256(), 32, self.auth, info).derive(shared)
        extracted = HKDF.extract(hashes.SHA256(), salt, secret)
        key = HKDFExpand(hashes.SHA256(), 16, b"Content-Encoding: aes128gcm\0").derive(extracted)
        nonce = HKDFExpand(hashes.SHA256(), 12, b"Content-Encoding: nonce\0").derive(extracted)
        padded = AESGCM(key).decrypt(nonce, record, None)
        text, mark, padding = padded.rpartition(b"\x02")
        assert mark and not padding.strip(b"\0")
        return text.decode()


@pytest.fixture
def browser():
    return Browser()


@pytest.fixture
def push_service(web, settings, reachable):
    settings.WEB_PUSH_PRIVATE_KEY = url64(bytes(range(1, 33)))
    settings.WEB_PUSH_CONTACT = "mailto:admin@example.org"
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    settings.SITE_URL = "https://alerts.example.org"
    web.usual = Answer(201, b"", {"Location": f"{web.url}/message/1"})
    return web


@pytest.fixture
def page(push_service, browser):
    method = ContactMethodFactory(
        user=UserFactory(name="Ana Ruiz"),
        channel=Channel.WEB_PUSH,
        address=f"{push_service.url}/wpush/v2/token",
        keys=browser.keys,
    )
    return NotificationFactory(
        user=method.user,
        contact_method=method,
        incident__title="Checkout “errors” above 5 %",
        incident__severity=Severity.CRITICAL,
        incident__service=ServiceFactory(name="Payments"),
    )


def send(page):
    return TRANSPORTS[Channel(page.channel)].send(render(page))


# Web Push


def test_a_browser_decrypts_what_it_gets(push_service, browser, page):
    assert send(page) == f"{push_service.url}/message/1"
    [taken] = push_service.taken
    assert (taken.method, taken.path) == ("POST", "/wpush/v2/token")
    assert (taken.headers["content-encoding"], taken.headers["ttl"], taken.headers["Urgency"]) == (
        "aes128gcm",
        "3600",
        "high",
    )
    assert b"Checkout" not in taken.body
    shown = json.loads(browser.decrypt(taken.body))
    answers = shown.pop("answers")
    assert shown.pop("labels") == {"acknowledge": "Acknowledge", "resolve": "Resolve"}
    assert shown == {
        "title": f"[CRITICAL] #{page.incident.number} Checkout “errors” above 5 %",
        "body": "Payments: Checkout “errors” above 5 %",
        "href": f"https://alerts.example.org/incidents/{page.incident.number}/",
        "severity": "critical",
        "tag": str(page.pk),
    }
    assert list(answers) == ["acknowledge", "resolve"]
    assert all(address.startswith("https://alerts.example.org/answer/") for address in answers.values())


def test_the_push_service_knows_who_we_are(push_service, page):
    send(page)
    scheme, _, parameters = push_service.taken[0].headers["Authorization"].partition(" ")
    given = dict(part.strip().split("=", 1) for part in parameters.split(","))
    assert (scheme, given["k"]) == ("vapid", web_push.public_key())
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), un64(given["k"]))
    claims = jwt.decode(given["t"], key, algorithms=["ES256"], audience=push_service.url)
    assert claims["sub"] == "mailto:admin@example.org"
    assert 0 < claims["exp"] - time.time() <= 24 * 3600  # RFC 8292 §2


def test_the_longest_page_fits(push_service, browser, page):
    page.incident.title = "ü" * 1024
    send(page)
    assert len(push_service.taken[0].body) <= 4096  # RFC 8291 §4
    assert json.loads(browser.decrypt(push_service.taken[0].body))["body"].startswith("Payments: üüü")


@pytest.mark.parametrize(
    ("answer", "permanent", "breaks_method", "retry_after"),
    [
        (Answer(404), True, True, None),
        (Answer(410), True, True, None),
        (Answer(400), True, False, None),
        (Answer(413), True, False, None),
        (Answer(401), False, False, None),
        (Answer(429, b"", {"Retry-After": "60"}), False, False, timedelta(seconds=60)),
        (Answer(500), False, False, None),
        (Answer(307, b"", {"Location": "http://127.0.0.1:1/"}), False, False, None),
        (Reset, False, False, None),
        (Hang, False, False, None),
    ],
)
def test_a_failure_of_the_push_service(push_service, page, answer, permanent, breaks_method, retry_after):
    push_service.answers = [answer]
    with pytest.raises(DeliveryError) as caught:
        send(page)
    failure = caught.value
    assert (failure.permanent, failure.breaks_method, failure.retry_after) == (
        permanent,
        breaks_method,
        retry_after,
    )
    assert len(push_service.taken) == 1
    assert "wpush" not in str(failure)  # the address is a secret


@pytest.mark.parametrize(
    "keys", [{}, {"p256dh": "x", "auth": "y"}, {"p256dh": url64(b"\4" + b"\0" * 64), "auth": "y"}]
)
def test_a_browser_without_keys_is_given_up(push_service, page, keys):
    page.contact_method.keys = keys
    with pytest.raises(DeliveryError) as caught:
        send(page)
    assert caught.value.breaks_method and push_service.taken == []


def test_no_browser_leads_into_our_network(push_service, page, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises(DeliveryError, match="not a public address") as caught:
        send(page)
    assert caught.value.breaks_method and push_service.taken == []


# A browser registers itself


@pytest.fixture
def cast(db):
    return Cast()


SUBSCRIPTIONS = "/api/v1/push-subscriptions"


def subscription(browser, **changes):
    endpoint = "https://updates.push.services.example.org/wpush/v2/gAAA"
    return {
        "endpoint": endpoint,
        "expirationTime": None,
        "keys": browser.keys,
        "label": "my phone",
        **changes,
    }


def test_everybody_registers_their_own_browser(cast, browser, push_service):
    assert cast.statuses("get", SUBSCRIPTIONS) == answers(200, 200, 200, 200)
    assert cast.statuses("post", SUBSCRIPTIONS, subscription(browser)) == answers(201, 201, 201, 201)
    key = cast.api("responder").get(SUBSCRIPTIONS).json()["public_key"]
    assert len(un64(key)) == 65


def test_a_browser_is_used_at_once_and_registered_once(cast, browser, push_service):
    api = cast.api("responder")
    made = api.post(SUBSCRIPTIONS, subscription(browser)).json()
    assert made["verified_at"] is not None and "keys" not in made
    other = Browser()
    again = api.post(SUBSCRIPTIONS, subscription(other))
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    method = ContactMethod.objects.get(channel=Channel.WEB_PUSH)
    assert (method.user, method.keys) == (cast.responder, other.keys)
    assert method.rules.count() == 2


def test_a_browser_shows_one_persons_pages(cast, browser, push_service):
    for who in ("responder", "manager"):
        assert cast.api(who).post(SUBSCRIPTIONS, subscription(browser)).status_code == 201
    assert ContactMethod.objects.get(channel=Channel.WEB_PUSH).user == cast.manager


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoint": "http://example.org/x"}, "endpoint"),
        ({"endpoint": "https://me@example.org/x"}, "endpoint"),
        ({"endpoint": ""}, "endpoint"),
        ({"endpoint": "https://example.org/" + "x" * 2050}, "endpoint"),
        ({"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "keys.0"),
        ({"keys": {"p256dh": url64(Browser().public), "auth": url64(b"short")}}, "keys.0"),
        ({"keys": {}}, "keys.auth"),
    ],
)
def test_a_subscription_that_reaches_nothing_is_refused(cast, browser, push_service, changes, field):
    response = cast.api("responder").post(SUBSCRIPTIONS, subscription(browser, **changes))
    assert response.status_code == 400
    assert field.partition(".")[0] in response.json()["errors"][0]["field"]
    assert not ContactMethod.objects.exists()


def test_without_a_key_no_browser_is_registered(cast, browser, settings):
    settings.WEB_PUSH_PRIVATE_KEY = ""
    for response in (
        cast.api("responder").get(SUBSCRIPTIONS),
        cast.api("responder").post(SUBSCRIPTIONS, subscription(browser)),
    ):
        assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "transport_off")


def test_a_browser_is_not_added_by_hand(cast):
    body = {"channel": "web_push", "address": "https://example.org/x"}
    response = cast.api("responder").post("/api/v1/contact-methods", body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "channel")


# Firebase Cloud Messaging

TOKEN = "cXm9:APA91bH" + "x" * 120


@pytest.fixture
def google(web, settings, tmp_path):
    """Google's token service and FCM: the first gives a token for a JWT that the service account's key has signed."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": "openalert-test",
        "private_key_id": "key-1",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "pages@openalert-test.iam.example.org",
        "token_uri": f"{web.url}/token",
    }
    file = tmp_path / "firebase.json"
    file.write_text(json.dumps(account))
    settings.FCM_SERVICE_ACCOUNT_FILE, settings.FCM_API_URL = str(file), web.url
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    settings.SITE_URL = "https://alerts.example.org"
    web.fcm = as_json({"name": "projects/openalert-test/messages/0:1500415314455276%31bd1c96"})
    web.token = as_json({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"})

    def answer(taken):
        if taken.path != "/token":
            assert taken.headers["Authorization"] == "Bearer ya29.token"
            return web.fcm
        given = parse_qs(taken.body.decode())
        assert given["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        claims = jwt.decode(
            given["assertion"][0],
            key.public_key(),
            algorithms=["RS256"],
            audience="https://oauth2.googleapis.com/token",
        )
        assert (claims["iss"], claims["scope"]) == (account["client_email"], mobile_push.SCOPE)
        assert claims["exp"] - claims["iat"] <= 3600
        return web.token

    web.usual = answer
    mobile_push.credentials.cache_clear()
    yield web
    mobile_push.credentials.cache_clear()


@pytest.fixture
def on_a_phone(db):
    method = ContactMethodFactory(user=UserFactory(name="Ana"), channel=Channel.MOBILE_PUSH, address=TOKEN)
    return NotificationFactory(user=method.user, contact_method=method, incident__title="Disk full")


def test_a_phone_gets_what_fcm_takes(google, on_a_phone):
    assert send(on_a_phone) == "projects/openalert-test/messages/0:1500415314455276%31bd1c96"
    send(on_a_phone)
    assert [taken.path for taken in google.taken] == [
        "/token",
        "/v1/projects/openalert-test/messages:send",
        "/v1/projects/openalert-test/messages:send",  # with the same token
    ]
    message = google.taken[1].json["message"]
    assert (message["token"], message["android"]["priority"]) == (TOKEN, "HIGH")
    assert message["notification"]["title"] == f"[HIGH] #{on_a_phone.incident.number} Disk full"
    assert set(message["data"]) == {"href", "severity", "notification_id", "acknowledge", "resolve"}
    assert all(isinstance(value, str) for value in message["data"].values())  # FCM takes no others


NO_TOKEN = "The registration token is not a valid FCM registration token"


def fcm_error(status, code, *, why="why", **headers):
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    return as_json(
        {"error": {"code": status, "message": why, "status": "X", "details": [detail]}}, status, **headers
    )


@pytest.mark.parametrize(
    ("answer", "permanent", "breaks_method", "retry_after"),
    [
        (fcm_error(404, "UNREGISTERED"), True, True, None),
        (fcm_error(403, "SENDER_ID_MISMATCH"), True, True, None),
        (fcm_error(400, "INVALID_ARGUMENT"), True, False, None),
        (fcm_error(400, "INVALID_ARGUMENT", why=NO_TOKEN), True, True, None),
        (fcm_error(401, "THIRD_PARTY_AUTH_ERROR"), False, False, None),
        (fcm_error(429, "QUOTA_EXCEEDED", Retry_After="45"), False, False, timedelta(seconds=45)),
        (fcm_error(429, "QUOTA_EXCEEDED"), False, False, timedelta(seconds=30)),
        (fcm_error(503, "UNAVAILABLE", Retry_After="5"), False, False, timedelta(seconds=5)),
        (Answer(500, b"<html>"), False, False, None),
        (Answer(200, b"<html>welcome</html>"), False, False, None),
        (as_json({"error": {"code": 200}}), False, False, None),
        (as_json([]), False, False, None),
    ],
)
def test_a_failure_of_fcm(google, on_a_phone, answer, permanent, breaks_method, retry_after):
    google.fcm = answer
    with pytest.raises(DeliveryError) as caught:
        send(on_a_phone)
    failure = caught.value
    assert (failure.permanent, failure.breaks_method, failure.retry_after) == (
        permanent,
        breaks_method,
        retry_after,
    )


@pytest.mark.parametrize("fault", [as_json({"error": "invalid_grant"}, 400), Answer(500), Reset, Hang])
def test_no_token_is_no_reason_to_give_up(google, on_a_phone, fault):
    google.answers = [fault] * 12
    with pytest.raises(DeliveryError) as caught:
        send(on_a_phone)
    assert not caught.value.permanent


def test_a_file_that_is_gone(google, on_a_phone, settings):
    settings.FCM_SERVICE_ACCOUNT_FILE += ".gone"
    with pytest.raises(DeliveryError, match="cannot be read"):
        send(on_a_phone)
