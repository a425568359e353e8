"""Sign-ins, failed ones and sign-outs, as Django's signals tell of them, whatever the door."""

from typing import Any

from django.contrib.auth import get_user_model, signals

from openalert.acting import Source, current

from .log import record

LONGEST_TRIED = 254


def start() -> None:
    signals.user_logged_in.connect(_signed_in, dispatch_uid=__name__)
    signals.user_logged_out.connect(_signed_out, dispatch_uid=__name__)
    signals.user_login_failed.connect(_failed, dispatch_uid=__name__)


def as_person(user: Any) -> Source:
    """The person, from where the request comes, who was nobody until now."""
    now = current()
    return Source.of_user(user, via=now.via, address=now.address)


def _signed_in(user: Any, **_: Any) -> None:
    record("signed_in", user, by=as_person(user))


def _signed_out(user: Any, **_: Any) -> None:
    if user is not None:
        record("signed_out", user, by=as_person(user))


def _failed(credentials: dict[str, Any], **_: Any) -> None:
    """Of what was typed only what looks like an address: people type passwords into the wrong field."""
    User = get_user_model()
    given = credentials.get(User.USERNAME_FIELD) or credentials.get("username") or ""
    tried = "".join(character for character in str(given)[:LONGEST_TRIED] if character.isprintable())
    tried = tried.encode(errors="replace").decode()
    if "@" not in tried:
        tried = ""
    user = User._default_manager.filter(email__iexact=tried).first() if tried else None
    record("sign_in_failed", user, tried=tried)
