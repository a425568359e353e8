"""CloudWatch through SNS: signed with a certificate of our own, and Amazon's hosts played at the network's edge."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from alerts.enums import EventStatus, Source
from alerts.events import AlertEvent
from alerts.exceptions import MalformedPayload
from alerts.formats import cloudwatch
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send
from incidents.enums import Severity

GOLDEN = payload("cloudwatch")
KEY = rsa.generate_private_key(65537, 2048)


def certificate(valid_days=365):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=valid_days))
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def signed(message, version="2", **changes):
    message = {**message, "SignatureVersion": version, **changes}
    lines = [p for n in cloudwatch.SIGNED[message["Type"]] if n in message for p in (n, message[n])]
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = KEY.sign(("\n".join(lines) + "\n").encode(), PKCS1v15(), algorithm)
    return {**message, "Signature": base64.b64encode(signature).decode()}


class Amazon:
    """What is at Amazon's addresses, and what was asked for."""

    def __init__(self):
        self.pages = {GOLDEN["SigningCertURL"]: certificate()}
        self.asked = []

    def get(self, address, **options):
        assert options["allow_redirects"] is False
        self.asked.append(address)
        return Page(self.pages.get(address))


class Page:
    def __init__(self, content):
        self.status_code = 200 if content is not None else 404
        self.content = content or b""
        self.raw = self

    def read(self, limit, decode_content):
        return self.content[:limit]

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass


@pytest.fixture
def amazon(monkeypatch):
    cloudwatch.signer.cache_clear()
    amazon = Amazon()
    monkeypatch.setattr("alerts.formats.cloudwatch.requests.get", amazon.get)
    yield amazon
    cloudwatch.signer.cache_clear()


def alarm(**changes):
    return {**GOLDEN, "Message": json.dumps({**json.loads(GOLDEN["Message"]), **changes})}


def test_golden_alarm():
    told = json.loads(GOLDEN["Message"])
    assert cloudwatch.read(GOLDEN, {}) == [
        AlertEvent(
            dedup_key="arn:aws:cloudwatch:eu-west-1:123456789012:alarm:High CPU",
            status=EventStatus.FIRING,
            title="High CPU",
            severity=Severity.CRITICAL,
            name="High CPU",
            source="i-0123456789",
            labels={
                "account": "123456789012",
                "region": "EU (Ireland)",
                "namespace": "AWS/EC2",
                "metric": "CPUUtilization",
                "InstanceId": "i-0123456789",
            },
            metadata={"description": told["NewStateReason"], **told},
        )
    ]


def test_states():
    [over] = cloudwatch.read(alarm(NewStateValue="OK", AlarmDescription=None), {})
    assert (over.status, over.severity) == (EventStatus.RESOLVED, Severity.HIGH)
    assert cloudwatch.read(alarm(NewStateValue="INSUFFICIENT_DATA"), {}) == []
    [fault] = cloudwatch.read(alarm(NewStateValue="PANIC"), {})
    assert fault.field == "NewStateValue"
    with pytest.raises(MalformedPayload):
        cloudwatch.read({**GOLDEN, "Message": "hello"}, {})


def test_event_bridges_envelope():
    event = {
        "detail-type": "CloudWatch Alarm State Change",
        "account": "123456789012",
        "region": "eu-west-1",
        "resources": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:High CPU"],
        "detail": {
            "alarmName": "High CPU",
            "state": {"value": "ALARM", "reason": "above"},
            "configuration": {"description": "severity=low"},
        },
    }
    [read] = cloudwatch.read({"Message": json.dumps(event)}, {})
    [direct] = cloudwatch.read(GOLDEN, {})
    assert (read.dedup_key, read.status, read.severity) == (
        direct.dedup_key,
        EventStatus.FIRING,
        Severity.LOW,
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com.example.com/x.pem",
        "https://example.com/sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com@example.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/x.pem",
        "https://bucket.s3.amazonaws.com/x.pem",
        "https://[",
        "",
    ],
)
def test_addresses_that_are_not_amazons(address):
    assert not cloudwatch.is_amazons(address)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("version", ["1", "2"])
def test_signed_messages_are_taken_and_the_certificate_is_fetched_once(amazon, version):
    integration = IntegrationFactory(source=Source.CLOUDWATCH)
    assert outcomes(send(integration, signed(GOLDEN, version))) == ["opened"]
    assert outcomes(send(integration, signed(alarm(NewStateValue="OK"), version))) == ["resolved"]
    assert amazon.asked == [GOLDEN["SigningCertURL"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "forge",
    [
        lambda: GOLDEN,
        lambda: {**signed(GOLDEN), "Message": signed(alarm(AlarmName="Other"))["Message"]},
        lambda: {**signed(GOLDEN), "SignatureVersion": "3"},
        lambda: {**signed(GOLDEN), "Signature": "???"},
        lambda: signed(GOLDEN, SigningCertURL="https://sns.eu-west-1.amazonaws.com/missing.pem"),
        lambda: signed(GOLDEN, SigningCertURL="https://sns.eu-west-1.amazonaws.com/x.txt"),
        lambda: signed(GOLDEN, SigningCertURL="https://example.com/x.pem"),
    ],
)
def test_forged_messages_are_refused(amazon, forge):
    integration = IntegrationFactory(source=Source.CLOUDWATCH)
    assert error(send(integration, forge())) == (401, "bad_signature", None)
    assert not Alert.objects.exists()
    assert all(cloudwatch.is_amazons(address) for address in amazon.asked)


@pytest.mark.django_db(transaction=True)
def test_certificate_that_has_ended(amazon):
    amazon.pages[GOLDEN["SigningCertURL"]] = certificate(valid_days=-1)
    integration = IntegrationFactory(source=Source.CLOUDWATCH)
    assert error(send(integration, signed(GOLDEN))) == (401, "bad_signature", None)


@pytest.mark.django_db(transaction=True)
def test_subscription_is_confirmed(amazon):
    integration = IntegrationFactory(source=Source.CLOUDWATCH)
    there = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37"
    amazon.pages[there] = b"<ConfirmSubscriptionResponse/>"
    asks = {
        **{name: GOLDEN[name] for name in ("MessageId", "TopicArn", "Timestamp", "SigningCertURL")},
        "Type": "SubscriptionConfirmation",
        "Message": "You have chosen to subscribe to the topic",
        "Token": "2336412f37",
        "SubscribeURL": there,
    }
    assert send(integration, signed(asks)).status_code == 200
    assert amazon.asked == [GOLDEN["SigningCertURL"], there]
    elsewhere = signed(asks, SubscribeURL="https://example.com/confirm")
    assert error(send(integration, elsewhere)) == (401, "bad_signature", None)
    assert send(integration, signed(asks, Type="UnsubscribeConfirmation")).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_raw_messages_are_refused(amazon):
    integration = IntegrationFactory(source=Source.CLOUDWATCH)
    response = send(integration, json.loads(GOLDEN["Message"]))
    assert error(response) == (400, "malformed_payload", "Type")
    assert "raw message delivery" in response.text
