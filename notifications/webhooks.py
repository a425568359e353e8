"""Outgoing webhooks: incidents' events, told to addresses that teams choose.

The same promise as for pages: the row is written in the transaction that made the event, a worker leases it and calls
with no transaction open, and a sweep takes up what a dead worker left. A receiver may be told twice, and knows by the
event's id. Signed as Standard Webhooks 1.0 says: HMAC-SHA256 over the id, the time and the body.

Each webhook is called by one worker at a time, the oldest event first, and rests after a failure: one that hangs keeps
a thread busy, not all of them. They have a queue of their own, so that none of them is in the way of a page.
"""

import base64
import hashlib
import hmac
import json
import logging
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents.lifecycle import Actors
from incidents.models import Incident
from incidents.timeline import Actor
from openalert import audit, correlation_id, outward
from openalert.ids import uuid7
from openalert.wake import wake

from . import webhook_bodies
from .enums import WebhookDeliveryStatus, WebhookEvent
from .exceptions import DeliveryError, WebhookDisabled
from .models import Webhook, WebhookDelivery
from .models.webhooks import UNSENT
from .transports import http

logger = logging.getLogger(__name__)

DELIVER_TASK = "notifications.tasks.deliver_webhook"
LEASE = timedelta(seconds=60)
GRACE = timedelta(seconds=5)
SWEEP_BATCH = 200
# 5 s, 25 s, 2 min, 10 min, 52 min, 4 h, 10 h, each ± a fifth: 15 hours until it is given up.
MAX_ATTEMPTS = 8
BASE_SECONDS, FACTOR, CAP_SECONDS = 5.0, 5.0, 36_000.0
# How long a webhook rests after its last failure: 5 s, 10 s, … 5 min.
LONGEST_REST_SECONDS = 300
ROTATION_SPAN = timedelta(hours=24)
LONGEST_ANSWER = 1000
KEPT_FOR = timedelta(days=30)
REMOVED_AT_ONCE = 5000
SECRET_PREFIX = "whsec_"  # noqa: S105 (what every secret begins with)


@dataclass(frozen=True)
class Response:
    """What a receiver answered."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver says so for good (Standard Webhooks): nobody is there to be told."""
        return self.status == HTTPStatus.GONE


def new_secret() -> str:
    """32 random bytes, spelt as Standard Webhooks spells them."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def create(webhook: Webhook) -> str:
    """Save a new, validated webhook. Returns its secret, which is shown this once."""
    webhook.secret = new_secret()
    webhook.save(force_insert=True)
    audit.secret_shown(webhook, "signing secret")
    return webhook.secret


@transaction.atomic
def change(webhook_id: UUID, **fields: Any) -> Webhook:
    """Set validated `fields`. Switched on again, or sent elsewhere, it starts without the failures of before."""
    webhook = Webhook.objects.select_for_update(of=("self",)).select_related("team").get(pk=webhook_id)
    is_fresh = fields.get("is_enabled", webhook.is_enabled) and (
        not webhook.is_enabled or fields.get("url", webhook.url) != webhook.url
    )
    for name, value in fields.items():
        setattr(webhook, name, value)
    if is_fresh:
        webhook.failures, webhook.rests_until, webhook.disabled_reason = 0, None, ""
    webhook.save()
    return webhook


@transaction.atomic
def rotate_secret(webhook_id: UUID) -> str:
    """Give it a new secret, and return it. The old one signs too for a day."""
    webhook = Webhook.objects.select_for_update().get(pk=webhook_id)
    webhook.previous_secret, webhook.secret = webhook.secret, new_secret()
    webhook.previous_secret_until = timezone.now() + ROTATION_SPAN
    webhook.save()
    audit.secret_shown(webhook, "signing secret")
    return webhook.secret


def tell(event: WebhookEvent, incidents: Sequence[Incident], actor: Actors, **more: Any) -> None:
    """Write what is to be told of an event of these incidents; to be called inside the deciding transaction.

    One statement while no webhook waits for it, whatever the number of incidents.
    """
    teams = {incident.service.team_id for incident in incidents}
    hooks: dict[UUID, list[Webhook]] = {}
    for webhook in Webhook.objects.filter(team__in=teams, is_enabled=True):
        if not webhook.events or event in webhook.events:
            hooks.setdefault(webhook.team_id, []).append(webhook)
    if not hooks:
        return
    now = timezone.now()
    deliveries = []
    for incident in incidents:
        by = actor if isinstance(actor, Actor) else actor[incident.pk]
        body = webhook_bodies.of_incident(event, incident, actor=by, at=now, **more)
        event_id = uuid7()
        deliveries += [
            WebhookDelivery(
                webhook=webhook,
                incident=incident,
                event=event,
                event_id=event_id,
                body=webhook_bodies.in_format(webhook.format, body),
                due_at=now,
                wake_at=now + GRACE,
            )
            for webhook in hooks.get(incident.service.team_id, ())
        ]
    _write(deliveries)


def send_test(webhook: Webhook) -> WebhookDelivery:
    """Send an event of no incident. Raises WebhookDisabled."""
    if not webhook.is_enabled:
        raise WebhookDisabled
    now = timezone.now()
    body = webhook_bodies.in_format(webhook.format, webhook_bodies.of_test(webhook, at=now))
    delivery = WebhookDelivery(
        webhook=webhook, event=WebhookEvent.TEST, event_id=uuid7(), body=body, due_at=now, wake_at=now + GRACE
    )
    _write([delivery])
    return delivery


def replay(delivery: WebhookDelivery) -> WebhookDelivery:
    """Send it again as it was, as a new delivery. Raises WebhookDisabled."""
    if not delivery.webhook.is_enabled:
        raise WebhookDisabled
    now = timezone.now()
    again = WebhookDelivery(
        webhook=delivery.webhook,
        incident_id=delivery.incident_id,
        event=delivery.event,
        event_id=delivery.event_id,
        body=delivery.body,
        due_at=now,
        wake_at=now + GRACE,
    )
    _write([again])
    return again


@transaction.atomic
def _write(deliveries: list[WebhookDelivery]) -> None:
    WebhookDelivery.objects.bulk_create(deliveries)
    for delivery in deliveries:
        wake(DELIVER_TASK, str(delivery.pk))


@transaction.atomic
def sweep(now: datetime | None = None) -> int:
    """Wake a batch of what is due: to be tried again, or left behind. Returns how many."""
    now = now or timezone.now()
    due = list(
        WebhookDelivery.objects.select_for_update(skip_locked=True)
        .filter(status__in=UNSENT, wake_at__lte=now)
        .order_by("wake_at")
        .values_list("pk", flat=True)[:SWEEP_BATCH]
    )
    WebhookDelivery.objects.filter(pk__in=due).update(wake_at=now + GRACE)
    for pk in due:
        wake(DELIVER_TASK, str(pk))
    return len(due)


def remove_old(now: datetime | None = None) -> int:
    """Remove a batch of what was told long ago. Returns how many."""
    before = (now or timezone.now()) - KEPT_FOR
    old = WebhookDelivery.objects.filter(created_at__lt=before).exclude(status__in=UNSENT)
    removed, _ = WebhookDelivery.objects.filter(
        pk__in=list(old.order_by("created_at").values_list("pk", flat=True)[:REMOVED_AT_ONCE])
    ).delete()
    return removed


def deliver(delivery_id: UUID) -> None:
    """Call the webhook, if it is due and nobody else does. Repeating it, or doing it twice at once, is harmless."""
    delivery = _lease(delivery_id)
    if delivery is None:
        return
    started, response, failure = time.monotonic(), None, None
    try:
        response = call(delivery, now=timezone.now())
        if not response.is_taken:
            failure = http.failure("it", response.status, response.headers, response.text[:200])
    except DeliveryError as error:
        failure = error
    except Exception as error:  # a bug of ours must not leave the row to its lease
        logger.exception("webhook delivery %s failed", delivery_id)
        failure = DeliveryError(f"internal error: {error!r}")
    _finish(delivery, response, failure, seconds=time.monotonic() - started)


@transaction.atomic
def _lease(delivery_id: UUID) -> WebhookDelivery | None:
    now = timezone.now()
    delivery = (
        WebhookDelivery.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("webhook")
        .filter(pk=delivery_id, status__in=UNSENT, due_at__lte=now)
        .first()
    )
    if delivery is None:
        return None
    webhook = delivery.webhook
    if (
        delivery.status == WebhookDeliveryStatus.SENDING
        and delivery.lease_until
        and delivery.lease_until > now
    ):
        return None
    if not webhook.is_enabled:
        delivery.status = WebhookDeliveryStatus.DEAD
        delivery.last_error = "the webhook was switched off"
        delivery.save()
        return None
    if webhook.rests_until and webhook.rests_until > now:
        delivery.wake_at = webhook.rests_until
        delivery.save(update_fields=["wake_at", "updated_at"])
        return None
    others = WebhookDelivery.objects.filter(
        webhook=webhook, status=WebhookDeliveryStatus.SENDING, lease_until__gt=now
    )
    if others.exclude(pk=delivery.pk).exists():
        return None  # its turn comes when that one has ended
    delivery.attempt_count += 1
    delivery.status = WebhookDeliveryStatus.SENDING
    delivery.lease_until = delivery.wake_at = now + LEASE
    delivery.save()
    return delivery


def call(delivery: WebhookDelivery, *, now: datetime) -> Response:
    """POST it, and return what was answered, whatever it is. Raises DeliveryError when nothing was."""
    body = json.dumps(delivery.body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "OpenAlert-Webhooks/1",
        **signature_headers(delivery.webhook, delivery.event_id, body, now=now),
        **correlation_id.headers_for_others(),
    }
    with http.told("the webhook"), outward.guarded(), outward.session() as session:
        answer = session.post(
            delivery.webhook.url,
            data=body,
            headers=headers,
            timeout=http.timeouts(),
            allow_redirects=False,
            stream=True,
        )
        raw = answer.raw.read(LONGEST_ANSWER, decode_content=False)
    text = raw.decode(errors="replace").replace("\0", "")[:LONGEST_ANSWER]
    return Response(answer.status_code, text, answer.headers)


def signature_headers(webhook: Webhook, event_id: UUID, body: bytes, *, now: datetime) -> dict[str, str]:
    """Standard Webhooks: one signature for each secret that is good now."""
    identifier, timestamp = f"evt_{event_id}", str(int(now.timestamp()))
    signed = b".".join((identifier.encode(), timestamp.encode(), body))
    signatures = [sign(secret, signed) for secret in webhook.secrets_at(now)]
    return {
        "webhook-id": identifier,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@transaction.atomic
def _finish(
    delivery: WebhookDelivery, response: Response | None, failure: DeliveryError | None, *, seconds: float
) -> None:
    now, number = timezone.now(), delivery.attempt_count
    delivery = (
        WebhookDelivery.objects.select_for_update(of=("self",)).select_related("webhook").get(pk=delivery.pk)
    )
    if delivery.attempt_count != number or delivery.status != WebhookDeliveryStatus.SENDING:
        return  # our lease ran out and somebody else has taken it over
    is_gone = response is not None and response.is_gone
    delivery.latency_seconds = round(seconds, 3)
    delivery.response_status = response.status if response else None
    delivery.response_text = response.text if response else ""
    delivery.last_error = str(failure or "")
    if failure is None:
        delivery.status, delivery.sent_at = WebhookDeliveryStatus.SENT, now
    elif failure.breaks_method or is_gone or number >= MAX_ATTEMPTS:
        delivery.status = WebhookDeliveryStatus.DEAD
    else:
        delivery.status = WebhookDeliveryStatus.PENDING
        delivery.due_at = delivery.wake_at = now + max(
            delay_after(number), failure.retry_after or timedelta(0)
        )
    delivery.save()
    _let_rest(delivery.webhook, failure, is_gone=is_gone, now=now)
    if failure is None:
        _wake_next(delivery.webhook_id, now=now)


def _let_rest(webhook: Webhook, failure: DeliveryError | None, *, is_gone: bool, now: datetime) -> None:
    """Note how the last call went: after a failure the webhook rests, the longer the more there were."""
    if failure is None:
        if webhook.failures:
            Webhook.objects.filter(pk=webhook.pk).update(failures=0, rests_until=None)
        return
    failures = min(webhook.failures + 1, 30)
    rest = timedelta(seconds=min(BASE_SECONDS * 2 ** (failures - 1), LONGEST_REST_SECONDS))
    changes: dict[str, Any] = {
        "failures": failures,
        "rests_until": now + max(rest, failure.retry_after or timedelta(0)),
    }
    if is_gone:
        changes |= {"is_enabled": False, "disabled_reason": "Its receiver answered 410: gone."}
        audit.record("changed", webhook, {"is_enabled": (True, False)}, reason=changes["disabled_reason"])
    Webhook.objects.filter(pk=webhook.pk).update(**changes, updated_at=now)


def _wake_next(webhook_id: UUID, *, now: datetime) -> None:
    waiting = WebhookDelivery.objects.filter(
        webhook_id=webhook_id, status=WebhookDeliveryStatus.PENDING, due_at__lte=now
    )
    if following := waiting.order_by("due_at", "pk").values_list("pk", flat=True).first():
        wake(DELIVER_TASK, str(following))


def delay_after(attempt: int) -> timedelta:
    """How long to wait after failed attempt `attempt` (1 is the first)."""
    seconds = min(BASE_SECONDS * FACTOR ** (attempt - 1), CAP_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311
