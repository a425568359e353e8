"""The OpenID provider: what it says of itself, and its keys (OpenID Connect Discovery 1.0, section 4)."""

import logging
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

from .exceptions import ProviderAway, ProviderWrong

log = logging.getLogger(__name__)

SECONDS_KEPT = 300
# Who waits for a provider that is away waits once, not with each request.
SECONDS_AWAY = 10
TIMEOUT_SECONDS = 5
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
OPTIONAL = ("userinfo_endpoint", "end_session_endpoint")
# Signatures by a key pair. Those by the client secret (HS256) and none at all are never taken.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True)
class Known:
    issuer: str
    found: dict[str, Any] | None
    until: float


_known: Known | None = None


def is_on() -> bool:
    return bool(settings.OIDC_ISSUER)


def metadata() -> dict[str, Any]:
    """The provider's document, at most five minutes old, kept by each process.

    Raises ProviderAway when it cannot be had, ProviderWrong when it is not what OIDC_ISSUER's should be.
    """
    global _known
    known, issuer = _known, settings.OIDC_ISSUER
    if known and known.issuer == issuer and time.monotonic() < known.until:
        if known.found is None:
            raise ProviderAway
        return known.found
    try:
        found = _fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except ProviderAway:
        _known = Known(issuer, None, time.monotonic() + SECONDS_AWAY)
        raise
    _check(found, issuer)
    _known = Known(issuer, found, time.monotonic() + SECONDS_KEPT)
    return found


def origins() -> list[str]:
    """Where browsers are sent: to sign in and to sign out. Raises like `metadata`."""
    found = metadata()
    urls = [
        urlsplit(found[name])
        for name in ("authorization_endpoint", "end_session_endpoint")
        if found.get(name)
    ]
    return list(dict.fromkeys(f"{url.scheme}://{url.netloc}" for url in urls))


def forget() -> None:
    """Ask again, whatever is known."""
    global _known
    _known = None


def is_away() -> bool:
    try:
        metadata()
    except ProviderAway:
        return True
    except ProviderWrong:
        return False
    return False


def signing_keys() -> list[dict[str, Any]]:
    """The provider's public keys (RFC 7517), as they are now. Raises like `metadata`."""
    keys = _fetch(metadata()["jwks_uri"]).get("keys")
    if not isinstance(keys, list):
        raise ProviderWrong("Its keys cannot be read.")
    return [key for key in keys if isinstance(key, dict) and key.get("use", "sig") == "sig"]


def _fetch(url: str) -> dict[str, Any]:
    try:
        response = requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        if response.status_code != 200:
            raise ProviderAway
        found = response.json()
    except requests.RequestException as error:
        log.warning("oidc_provider_away: %s", type(error).__name__)
        raise ProviderAway from error
    if not isinstance(found, dict):
        raise ProviderWrong("It answers with something else than it should.")
    return found


def _check(found: dict[str, Any], issuer: str) -> None:
    """Exactly equal: a document of somebody else must not speak for the issuer."""
    if found.get("issuer") != issuer:
        log.warning("oidc_issuer_differs: %r is not OIDC_ISSUER", found.get("issuer"))
        raise ProviderWrong("It calls itself by another address than OIDC_ISSUER.")
    for name in NEEDED + OPTIONAL:
        if name in OPTIONAL and not found.get(name):
            continue
        url = urlsplit(str(found.get(name) or ""))
        if not url.hostname or (url.scheme != "https" and urlsplit(issuer).scheme == "https"):
            raise ProviderWrong(f"Its {name} is missing or not an https address.")
