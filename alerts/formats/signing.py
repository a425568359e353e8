"""How systems prove that a request is theirs: signatures of the body, and secrets that are sent along."""

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from alerts.exceptions import BadSignature

from .base import Answer, Request, key_in_authorization

if TYPE_CHECKING:
    from alerts.models import Integration

_bearer = key_in_authorization("Bearer")


def hmac_sha256(secret: str, body: bytes) -> str:
    """The HMAC-SHA256 of a body, in hexadecimal."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def demand(given: str, expected: str) -> None:
    """Raises BadSignature unless the text of a header is what is expected.

    The time it takes does not tell where they differ.
    """
    # Headers come as Latin-1, whatever their bytes mean.
    if not hmac.compare_digest(given.encode("latin-1", "replace"), expected.encode()):
        raise BadSignature


def check_bearer(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """A Format's `check` for systems that sign nothing but can send a header: “Authorization: Bearer <secret>”.

    Without a secret nothing is checked. Raises BadSignature.
    """
    if integration.secret:
        demand(_bearer(request, payload), integration.secret)
    return None
