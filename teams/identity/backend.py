"""mozilla-django-oidc's backend with the provider's own word on where things are, and stricter about its tokens."""

import secrets
from typing import Any

import jwt
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from teams.models import User

from . import people, provider
from .exceptions import ProviderWrong, SignInRefused

ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}
CLOCK_SECONDS = 60  # that the provider's clock may differ from ours


class FromProvider:
    """Endpoints are not settings: they come from discovery, when they are asked for."""

    @staticmethod
    def get_settings(attr: str, *default: Any) -> Any:
        if attr in ENDPOINTS:
            return provider.metadata().get(ENDPOINTS[attr], "")
        if attr == "OIDC_TOKEN_USE_BASIC_AUTH":
            # Basic is what holds when the provider does not say (OpenID Connect Discovery 1.0, section 3).
            ways = provider.metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            return "client_secret_post" not in ways
        return OIDCAuthenticationBackend.get_settings(attr, *default)


class OpenIDConnectBackend(FromProvider, OIDCAuthenticationBackend):
    """Made with each request of somebody signed in, so it asks the provider nothing by being made."""

    def __init__(self) -> None:
        self.UserModel = User
        self.OIDC_RP_CLIENT_ID = self.get_settings("OIDC_RP_CLIENT_ID")
        self.OIDC_RP_CLIENT_SECRET = self.get_settings("OIDC_RP_CLIENT_SECRET")

    @property
    def OIDC_OP_TOKEN_ENDPOINT(self) -> str:
        return self.get_settings("OIDC_OP_TOKEN_ENDPOINT")

    @property
    def OIDC_OP_USER_ENDPOINT(self) -> str:
        return self.get_settings("OIDC_OP_USER_ENDPOINT")

    def authenticate(
        self, request: HttpRequest | None, *, nonce: str, code_verifier: str, **_: Any
    ) -> User | None:
        """Only the callback has a nonce: sign-ins by password are not for this backend.

        Raises SignInRefused, ProviderAway, ProviderWrong, requests.RequestException.
        """
        return super().authenticate(request, nonce=nonce, code_verifier=code_verifier)

    def verify_token(self, token: str, **expected: Any) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7). Raises SignInRefused."""
        try:
            payload = jwt.decode(
                token,
                self._key_of(token),
                algorithms=provider.ALGORITHMS,
                audience=self.OIDC_RP_CLIENT_ID,
                issuer=provider.metadata()["issuer"],
                leeway=CLOCK_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.PyJWTError as error:
            raise SignInRefused("What the identity provider says cannot be believed. Begin again.") from error
        is_for_several = isinstance(payload["aud"], list) and len(payload["aud"]) > 1
        if (is_for_several or "azp" in payload) and payload.get("azp") != self.OIDC_RP_CLIENT_ID:
            raise SignInRefused("The identity provider's answer is meant for somebody else.")
        nonce = expected.get("nonce") or ""
        if not nonce or not secrets.compare_digest(str(payload.get("nonce", "")).encode(), nonce.encode()):
            raise SignInRefused("The identity provider's answer belongs to another sign-in. Begin again.")
        return payload

    def _key_of(self, token: str) -> jwt.PyJWK:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in provider.ALGORITHMS:
            raise jwt.InvalidAlgorithmError(algorithm)
        keys = [
            key
            for key in provider.signing_keys()
            if key.get("alg", algorithm) == algorithm
            and ("kid" not in header or key.get("kid") == header["kid"])
        ]
        for key in keys:
            try:
                return jwt.PyJWK(key, algorithm=algorithm)
            except jwt.PyJWTError:  # a key of another kind, where there is no kid
                continue
        raise jwt.InvalidKeyError("no such key")

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The claims of the ID token and of the userinfo endpoint, which some providers tell more."""
        if not self.OIDC_OP_USER_ENDPOINT or not access_token:
            return payload
        found = super().get_userinfo(access_token, id_token, payload)
        if not isinstance(found, dict):
            raise ProviderWrong("Its userinfo endpoint answers with something else than it should.")
        if found.get("sub") != payload["sub"]:
            raise SignInRefused("The identity provider tells of somebody else. Begin again.")
        claims = {**payload, **found, "iss": payload["iss"]}
        if "email" in found and found["email"] != payload.get("email"):
            claims["email_verified"] = found.get("email_verified")  # of this address, not of the other
        return claims

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        return people.sign_in(self.get_userinfo(access_token, id_token, payload))

    def get_user(self, user_id: Any) -> User | None:
        """Django's: the library's would keep who is deactivated signed in."""
        return ModelBackend.get_user(self, user_id)

    def store_tokens(self, access_token: str, id_token: str) -> None:
        """Only the ID token, for the sign-out. The view keeps it, once the session is this person's."""
        self.request.id_token = id_token
