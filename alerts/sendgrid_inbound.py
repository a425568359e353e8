"""SendGrid's Inbound Parse: mail that SendGrid took for us, by HTTP (Twilio: Inbound Email Parse Webhook).

POST /integrations-inbound/sendgrid/<key>/   for one integration, or one heartbeat (ping-<ping key>)
POST /integrations-inbound/sendgrid/         for those that the mail is addressed to, as <key>@<mail domain>

SendGrid sends again for three days what it gets a 5xx for, and drops what it gets a 4xx for.
"""

import base64
import json
import logging
import re
from collections.abc import Mapping
from email import message_from_bytes
from email.parser import BytesHeaderParser
from http import HTTPStatus
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from openalert.answers import failure_as_json
from openalert.exceptions import OpenAlertError

from .exceptions import BadSignature, MalformedPayload, UnknownKey
from .formats import mime
from .keys import IntegrationChanged
from .mail_intake import key_of, recipient, secret_of, take_mail

logger = logging.getLogger(__name__)

# SendGrid takes mail of 30 MB.
MAX_BODY_BYTES = 40 * 1024 * 1024
SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
PEM_FRAME = re.compile(r"-----[A-Z ]+-----")
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"


class TooLarge(OpenAlertError):
    code = "too_large"
    detail = f"The body may have at most {MAX_BODY_BYTES} bytes."
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class Unavailable(OpenAlertError):
    code = "unavailable"
    detail = "The mail cannot be stored now: send it again."
    status = HTTPStatus.SERVICE_UNAVAILABLE


@csrf_exempt
@require_POST
def inbound(request: HttpRequest, key: str = "") -> HttpResponse:
    """Answers 202 once the mail's alerts and pings are stored, for all of its recipients."""
    try:
        if key:
            recipient(key)  # before a stranger's mail is read
        body = request.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge
        content_type = request.headers.get("Content-Type", "")
        fields, names = form_of(body, content_type)
        keys = [key] if key else recipients(fields)
        for one in keys:
            check_signature(secret_of(recipient(one)), request.headers, body)
        taken = take_mail(keys, mail_of(fields, names), body=body, content_type=content_type)
    except (IntegrationChanged, DatabaseError) as failure:
        logger.error("mail: SendGrid's was not stored: %s", failure)
        return failure_as_json(request, Unavailable())
    except OpenAlertError as failure:
        return failure_as_json(request, failure)
    told = {"accepted": taken.count, "alerts": msgspec.to_builtins(taken.alerts)}
    return JsonResponse(told, status=HTTPStatus.ACCEPTED)


def form_of(body: bytes, content_type: str) -> tuple[dict[str, bytes], list[str]]:
    """A multipart form's fields as they were sent, and the names of its files. Raises MalformedPayload.

    Django's parser would decode each field as UTF-8; SendGrid leaves them in the mail's own charsets.
    """
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    form = message_from_bytes(head + body) if content_type.startswith("multipart/form-data") else None
    parts = form.get_payload() if form is not None else None
    if not isinstance(parts, list):
        raise MalformedPayload(
            "This is not a form of SendGrid's Inbound Parse: multipart/form-data is wanted."
        )
    fields, names = dict[str, bytes](), list[str]()
    for part in parts:
        if (name := mime.file_name(part)) is not None:
            names.append(name)
            continue
        value = part.get_payload(decode=True)
        field = part.get_param("name", header="content-disposition")
        if isinstance(value, bytes) and isinstance(field, str):
            fields.setdefault(field, value)
    return fields, names


def recipients(fields: Mapping[str, bytes]) -> list[str]:
    """The keys in the envelope's addresses. Raises UnknownKey when none is ours."""
    envelope = _json(fields, "envelope")
    to = envelope.get("to")
    addresses = [address for address in to if isinstance(address, str)] if isinstance(to, list) else []
    keys = [key for address in addresses if (key := key_of(address))]
    if not keys:
        raise UnknownKey("The mail is addressed to no integration and no heartbeat.")
    return keys


def mail_of(fields: Mapping[str, bytes], names: list[str]) -> dict[str, Any]:
    """The mail, from the whole of it (“POST the raw, full MIME message”) or from SendGrid's reading of it.

    Raises MalformedPayload.
    """
    if "email" in fields:
        return mime.decode(fields["email"], {})
    if not fields.keys() & {"headers", "subject", "text", "html"}:
        raise MalformedPayload("There is no mail in this form.")
    charsets = _json(fields, "charsets")
    told = {name: mime.text_of(value, str(charsets.get(name, ""))) for name, value in fields.items()}
    message = BytesHeaderParser().parsebytes(fields.get("headers", b""))
    for name in ("subject", "from", "to"):
        if name not in message and name in told:
            message[name] = " ".join(told[name].split())
    text = told.get("text", "")
    return mime.mail(message, text if text.strip() else mime.words_of_html(told.get("html", "")), names)


def check_signature(public_key: str, headers: Mapping[str, str], body: bytes) -> None:
    """Nothing for an integration without a secret; with one, it is SendGrid's public key, and it must have signed.

    (Twilio: Securing your Inbound Parse webhooks.) The age of a signature is not limited: SendGrid goes on
    trying for days. Raises BadSignature.
    """
    if not public_key:
        return
    try:
        key = load_der_public_key(base64.b64decode(PEM_FRAME.sub("", public_key)))
        signature = base64.b64decode(headers.get(SIGNATURE, ""))
        if not isinstance(key, EllipticCurvePublicKey):
            raise BadSignature
        key.verify(signature, headers.get(TIMESTAMP, "").encode() + body, ECDSA(SHA256()))
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as cause:
        raise BadSignature from cause


def _json(fields: Mapping[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(fields.get(name, b"{}"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
