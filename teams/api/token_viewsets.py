"""API tokens are made, seen and revoked by people: no API token opens this."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from openalert.rest.serializers import ModelSerializer
from teams import api_tokens, scopes
from teams.models import ApiToken, Team

from .scoping import VisibleField


class ApiTokenSerializer(ModelSerializer):
    team = VisibleField(
        queryset=Team.objects.all(), required=False, allow_null=True, help_text="Whose it is; null: your own."
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(scopes.ALL), min_length=1, max_length=len(scopes.ALL)
    )

    class Meta:
        model = ApiToken
        fields = [
            "id", "name", "team", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at", "created_at",
        ]  # fmt: skip
        read_only_fields = ["prefix", "last_used_at", "revoked_at", "created_at"]

    def create(self, validated_data: dict[str, Any]) -> ApiToken:
        token, token.plain = api_tokens.create_token(by=self.context["request"].user, **validated_data)
        return token


class NewApiTokenSerializer(ApiTokenSerializer):
    """With the token itself, which nobody can be shown again."""

    token = serializers.CharField(source="plain", read_only=True)

    class Meta(ApiTokenSerializer.Meta):
        fields = [*ApiTokenSerializer.Meta.fields, "token"]


class ApiTokenViewSet(
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.ListModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet,
):
    """The asker's API tokens, and those of the teams that they manage. Removing one revokes it; it stays listed."""

    queryset = ApiToken.objects.all()
    serializer_class = ApiTokenSerializer
    filterset_fields = {"team": ["exact", "isnull"]}
    search_fields = ["name", "prefix"]
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "name")

    def get_queryset(self) -> QuerySet[ApiToken]:
        return api_tokens.visible_to(self.request.user)

    def get_serializer_class(self) -> type[ApiTokenSerializer]:
        return NewApiTokenSerializer if self.action == "create" else ApiTokenSerializer

    def perform_destroy(self, instance: ApiToken) -> None:
        api_tokens.revoke_token(instance.pk, by=self.request.user)


class SignOutEverywhereView(APIView):
    """End all sessions, access and refresh tokens of the asker, also the one that asks. API tokens stay."""

    @extend_schema(request=None, responses={204: OpenApiResponse(description="All are void now.")})
    def post(self, request: Request) -> Response:
        api_tokens.sign_out_everywhere(request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
