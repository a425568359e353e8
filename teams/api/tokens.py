"""Sign-in for programs: a short-lived access token and a refresh token that works once."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt import views
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken, Token

from openalert import audit
from openalert.audit.sign_ins import as_person
from teams.models import User

from .authentication import SIGN_OUTS


class RefreshSerializer(TokenRefreshSerializer):
    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        try:
            return super().validate(attrs)
        except User.DoesNotExist as error:
            raise InvalidToken from error


class ObtainSerializer(TokenObtainPairSerializer):
    @classmethod
    def get_token(cls, user: User) -> Token:
        token = super().get_token(user)
        token[SIGN_OUTS] = user.sign_outs
        return token

    def validate(self, attrs: dict[str, Any]) -> dict[str, str]:
        tokens = super().validate(attrs)
        audit.record("token_made", self.user, by=as_person(self.user))
        return tokens


class ObtainTokenView(views.TokenObtainPairView):
    """Sign in with an email address and a password."""

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
