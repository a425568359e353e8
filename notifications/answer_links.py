"""Signed addresses at which a page is answered, in email, push and chat cards.

A link names one notification and one action; it is good for one use within LINK_AGE. To open it changes nothing: mail
scanners and previews follow links. In what others may read too (a chat's channel), whoever uses it has to sign in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from .enums import Action, Channel
from .models import Notification

LINK_AGE = timedelta(days=7)
SALT = "notifications.answer"

# Only the person sees them.
PERSONAL = (Channel.EMAIL, Channel.WEB_PUSH, Channel.MOBILE_PUSH)
SHARED = (Channel.TEAMS, Channel.APPRISE)


@dataclass(frozen=True)
class AnswerLink:
    notification_id: UUID
    action: Action
    is_personal: bool


def links_for(notification: Notification, actions: Iterable[Action]) -> dict[str, str]:
    """The address of each action that answers it, for channels that carry links; empty for the rest."""
    if notification.channel not in PERSONAL + SHARED:
        return {}
    is_personal = notification.channel in PERSONAL
    return {
        action.value: urljoin(
            settings.SITE_URL,
            reverse("answer", args=[sign(notification.pk, action, is_personal=is_personal)]),
        )
        for action in actions
    }


def sign(notification_id: UUID, action: Action, *, is_personal: bool) -> str:
    return signing.dumps([notification_id.hex, action.value, is_personal], salt=SALT)


def read(token: str) -> AnswerLink | None:
    """None for one that is not ours, was changed or is too old."""
    try:
        identifier, action, is_personal = signing.loads(token, salt=SALT, max_age=LINK_AGE)
        return AnswerLink(UUID(identifier), Action(action), bool(is_personal))
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None
