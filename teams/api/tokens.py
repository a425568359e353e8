"""Sign-in for programs: a short-lived access token and a refresh token that works once."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import update_last_login
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt import views
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.serializers import (
    TokenObtainPairSerializer,
    TokenObtainSerializer,
    TokenRefreshSerializer,
)
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken, Token

from openalert import audit
from openalert.audit.sign_ins import as_person
from openalert.exceptions import OpenAlertError
from teams import second_factor
from teams.identity import lock_out
from teams.identity.exceptions import LockedOut, SecondFactorNotSetUp
from teams.models import User

from .authentication import SIGN_OUTS


class RefreshSerializer(TokenRefreshSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            return super().validate(attrs)
        except User.DoesNotExist as error:
            raise InvalidToken from error


class ObtainSerializer(TokenObtainPairSerializer):
    otp = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=40,
        write_only=True,
        help_text="The code of the authenticator app, or a recovery code; of who has a second factor.",
    )

    @classmethod
    def get_token(cls, user: User) -> Token:
        token = super().get_token(user)
        token[SIGN_OUTS] = user.sign_outs
        return token

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        request = self.context["request"]
        try:
            # Not the pair's: it gives tokens for a password alone.
            TokenObtainSerializer.validate(self, attrs)
            second_factor.check_for_token(self.user, attrs.get("otp", ""))
        except LockedOut as failure:
            raise Throttled(failure.wait, failure.detail, failure.code) from failure
        except SecondFactorNotSetUp as failure:
            raise PermissionDenied(failure.detail, failure.code) from failure
        except OpenAlertError as failure:
            if failure.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise AuthenticationFailed(failure.detail, failure.code) from failure
        except AuthenticationFailed as refused:
            if getattr(request, "axes_locked_out", False):
                wait = lock_out.seconds_left(
                    lock_out.account_of(request, request.axes_credentials), lock_out.place_of(request)
                )
                failure = LockedOut(max(1, wait))
                raise Throttled(failure.wait, failure.detail, failure.code) from refused
            raise
        refresh = self.get_token(self.user)
        update_last_login(User, self.user)
        lock_out.succeeded(request, self.user)
        audit.record("token_made", self.user, by=as_person(self.user))
        return {"refresh": str(refresh), "access": str(refresh.access_token)}


class ObtainTokenView(views.TokenObtainPairView):
    """Sign in with an email address and a password, and the code of the second factor where there is one.

    Without it, who needs one gets 401 `second_factor_required`. After too many failures it is 429 `locked_out`.
    """

    throttle_scope = "sign_in"
    serializer_class = ObtainSerializer


class RefreshTokenView(views.TokenRefreshView):
    """Trade a refresh token for a new pair. The old one is void from then on."""

    throttle_scope = "sign_in"
    serializer_class = RefreshSerializer


class VerifyTokenView(views.TokenVerifyView):
    """Whether a token is valid: 200 or 401."""

    @extend_schema(responses={200: OpenApiResponse(description="It is valid.")})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().post(request, *args, **kwargs)


class RevokeTokenView(views.TokenBlacklistView):
    """Make a refresh token void, as signing out does."""

    @extend_schema(responses={200: OpenApiResponse(description="It is void now.")})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response = super().post(request, *args, **kwargs)
        # By its id: the row was made before we added to what the token says.
        identifier = RefreshToken(request.data["refresh"], verify=False)[api_settings.JTI_CLAIM]
        token = OutstandingToken.objects.filter(jti=identifier).select_related("user").first()
        if token is not None and token.user is not None:
            audit.record("token_revoked", token.user, by=as_person(token.user))
        return response
