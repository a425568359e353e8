"""Who sends a request of the REST API: by an access token, or an API token. Both come as `Authorization: Bearer …`."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken as InvalidAccessToken
from rest_framework_simplejwt.tokens import Token

from teams import api_tokens, scopes
from teams.exceptions import InvalidToken, ScopeMissing
from teams.models import ApiToken, User

SIGN_OUTS = "sign_outs"  # the claim that says how often its person had signed out everywhere


class AccessTokenAuthentication(JWTAuthentication):
    """Refuses what was given out before its person signed out everywhere."""

    def get_user(self, validated_token: Token) -> User:
        user = super().get_user(validated_token)
        if validated_token.get(SIGN_OUTS, 0) != user.sign_outs:
            raise InvalidAccessToken("The token was given out before signing out everywhere.")
        return user


class ApiTokenAuthentication(BaseAuthentication):
    """Lets an API token in, to what its scopes allow."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        kind, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer" or not api_tokens.looks_like_one(text):
            return None
        try:
            token = api_tokens.authenticate(text)
        except InvalidToken as failure:
            raise AuthenticationFailed(failure.detail, failure.code) from failure
        if not scopes.allow_request(token.scopes, request.method or "", request.path):
            raise PermissionDenied(ScopeMissing.detail, ScopeMissing.code)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class ApiTokenScheme(OpenApiAuthenticationExtension):
    target_class = ApiTokenAuthentication
    name = "apiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A personal or a team's API token."}


class AccessTokenScheme(OpenApiAuthenticationExtension):
    target_class = AccessTokenAuthentication
    name = "jwtAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
