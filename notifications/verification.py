"""The proof that a contact method reaches its owner: a code is sent there and typed in on the person's own page."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from . import outbox
from .codes import code_of
from .enums import Channel, Purpose
from .exceptions import (
    CodeExpired,
    ContactMethodDisabled,
    ContactMethodVerified,
    TooManyCodes,
    TooManyTries,
    TransportOff,
    WrongCode,
)
from .models import ContactMethod, Notification, Verification
from .transports import TRANSPORTS

CODE_AGE = timedelta(minutes=10)
MOST_TRIES = 5
# An address may be anybody's, and calls cost money: nobody is flooded from here.
PAUSE = timedelta(seconds=20)
MOST_PER_ADDRESS, MOST_PER_PERSON = 5, 15
LIMITED_SPAN = timedelta(hours=1)


@transaction.atomic
def send_code(method_id: UUID) -> Notification:
    """Send a new code by the method itself; older ones are void.

    Raises ContactMethodVerified, ContactMethodDisabled, TransportOff and TooManyCodes.
    """
    method = ContactMethod.objects.select_for_update(of=("self",)).select_related("user").get(pk=method_id)
    if method.is_verified:
        raise ContactMethodVerified
    if not method.is_enabled:
        raise ContactMethodDisabled
    if why_off := TRANSPORTS[Channel(method.channel)].why_off():
        raise TransportOff(f"{method.get_channel_display()} is off in this installation. {why_off}")
    now = timezone.now()
    _limit(method, now)
    notification = outbox.send_now(user=method.user, contact_method=method, purpose=Purpose.VERIFICATION)
    Verification.objects.filter(contact_method=method).update(expires_at=now, updated_at=now)
    Verification.objects.create(
        contact_method=method,
        notification=notification,
        address=method.address,
        expires_at=now + CODE_AGE,
        tries_left=MOST_TRIES,
    )
    return notification


def _limit(method: ContactMethod, now: datetime) -> None:
    sent = Verification.objects.filter(created_at__gt=now - LIMITED_SPAN)
    # Whoever removes a method and adds it again is counted all the same.
    to_address = Notification.objects.filter(
        purpose=Purpose.VERIFICATION,
        created_at__gt=now - LIMITED_SPAN,
        user=method.user,
        channel=method.channel,
        address=method.address,
    )
    by_person = Notification.objects.filter(
        purpose=Purpose.VERIFICATION, created_at__gt=now - LIMITED_SPAN, user=method.user
    )
    if (
        sent.filter(contact_method=method, created_at__gt=now - PAUSE).exists()
        or to_address.count() >= MOST_PER_ADDRESS
        or by_person.count() >= MOST_PER_PERSON
    ):
        raise TooManyCodes


def verify(method_id: UUID, code: str) -> ContactMethod:
    """The method's owner types in a code. Repeating a right one changes nothing.

    Raises CodeExpired, TooManyTries and WrongCode, which counts.
    """
    failure: WrongCode | None = None
    with transaction.atomic():
        method = (
            ContactMethod.objects.select_for_update(of=("self",)).select_related("user").get(pk=method_id)
        )
        if method.is_verified:
            return method
        now = timezone.now()
        sent = method.verifications.order_by("-created_at").first()
        if sent is None or sent.expires_at <= now or sent.address != method.address:
            raise CodeExpired(field="code")
        if sent.tries_left == 0:
            raise TooManyTries(field="code")
        given = "".join(character for character in code if character.isdigit() and character.isascii())
        if constant_time_compare(given, code_of(sent.notification_id)):
            method.verified_at = now
            method.save(update_fields=["verified_at", "updated_at"])
            sent.used_at = now
            sent.save(update_fields=["used_at", "updated_at"])
            return method
        sent.tries_left -= 1
        sent.save(update_fields=["tries_left", "updated_at"])
        failure = WrongCode(tries_left=sent.tries_left)
    raise failure  # outside of the transaction, which keeps the count


def waiting_code(method: ContactMethod) -> Verification | None:
    """The code that is on its way or waits to be typed in, if there is one."""
    return method.verifications.filter(expires_at__gt=timezone.now()).order_by("-created_at").first()
