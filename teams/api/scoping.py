"""Who sees and changes what through the API, the same for all that teams own."""

from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.relations import PrimaryKeyRelatedField
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ModelViewSet

from teams.access import require_manage
from teams.models import Team, User
from teams.queries import people_visible_to


class VisibleField(PrimaryKeyRelatedField):
    """The id of something that the asker may see; anything else does not exist."""

    def get_queryset(self) -> QuerySet:
        return super().get_queryset().visible_to(self.context["request"].user)


class PersonField(PrimaryKeyRelatedField):
    """The id of somebody who shares a team with the asker, or of the asker."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({} if kwargs.get("read_only") else {"queryset": User.objects.all()}) | kwargs)

    def get_queryset(self) -> QuerySet[User]:
        return people_visible_to(self.context["request"].user)


class MayChange(BasePermission):
    """Reading is decided by the view's queryset; changing, by the view's `require` on the owning team."""

    def has_object_permission(self, request: Request, view: "TeamOwnedViewSet", obj: Model) -> bool:
        if request.method not in SAFE_METHODS:
            view.require(request.user, view.owner(obj))
        return True


class TeamOwnedViewSet(ModelViewSet):
    """Rows that belong to a team: members see them, those who pass `require` change them.

    `owner_path` leads from a row to its team, like "service.team". Moving a row takes the rights on both teams.
    """

    permission_classes = [IsAuthenticated, MayChange]
    owner_path = "team"
    require = staticmethod(require_manage)
    ordering: tuple[str, ...] = ("name",)
    ordering_fields: tuple[str, ...] = ("name", "created_at", "updated_at")

    def get_queryset(self) -> QuerySet:
        return super().get_queryset().visible_to(self.request.user)

    def owner(self, row: Model) -> Team:
        return follow(row, self.owner_path)

    def perform_create(self, serializer: BaseSerializer) -> None:
        self._require_new_owner(serializer.validated_data)
        serializer.save()

    def perform_update(self, serializer: BaseSerializer) -> None:
        self._require_new_owner(serializer.validated_data)
        serializer.save()

    def _require_new_owner(self, values: dict[str, Any]) -> None:
        first, _, rest = self.owner_path.partition(".")
        if first in values:
            self.require(self.request.user, follow(values[first], rest))


def follow(row: Any, path: str) -> Team:
    for name in path.split(".") if path else ():
        row = getattr(row, name)
    return row
