from typing import Any

from rest_framework import serializers

from incidents.enums import ActionItemState, LinkKind, PostmortemState, UpdateState
from incidents.models import ActionItem, Incident, IncidentTask, Postmortem, StatusUpdate, Subscription
from incidents.models.postmortem import LONGEST_BODY
from openalert.rest.fields import InstantField
from teams.api.scoping import PersonField, VisibleField
from teams.api.serializers import ServiceRefSerializer, UserRefSerializer

from .serializers import IncidentRefSerializer


class HeldRoleSerializer(serializers.Serializer):
    role = serializers.CharField(max_length=60)
    duty = serializers.CharField(read_only=True)
    user = UserRefSerializer(allow_null=True, read_only=True)


class AssignRoleSerializer(serializers.Serializer):
    role = serializers.CharField(max_length=60)
    user = PersonField(allow_null=True, help_text="The id of who has it from now on; null: nobody.")


class TaskSerializer(serializers.ModelSerializer):
    assignee = UserRefSerializer(allow_null=True)
    done_by = UserRefSerializer(allow_null=True)

    class Meta:
        model = IncidentTask
        fields = ["id", "text", "assignee", "due_at", "done_at", "done_by", "created_at", "updated_at"]
        read_only_fields = fields


class AddTaskSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=500)
    assignee = PersonField(allow_null=True, required=False, default=None)
    due_at = InstantField(allow_null=True, required=False, default=None)


class ChangeTaskSerializer(serializers.Serializer):
    """What is left out stays."""

    text = serializers.CharField(max_length=500, required=False)
    assignee = PersonField(allow_null=True, required=False)
    due_at = InstantField(allow_null=True, required=False)
    done = serializers.BooleanField(required=False)


class StatusUpdateSerializer(serializers.ModelSerializer):
    author = UserRefSerializer(allow_null=True)

    class Meta:
        model = StatusUpdate
        fields = ["id", "state", "text", "author", "author_name", "created_at"]
        read_only_fields = fields


class PublishSerializer(serializers.Serializer):
    state = serializers.ChoiceField(UpdateState.choices)
    text = serializers.CharField(max_length=10_000, help_text="Markdown.")


class SubscriptionSerializer(serializers.ModelSerializer):
    user = UserRefSerializer(allow_null=True)
    address = serializers.EmailField(
        source="stakeholder.address",
        allow_null=True,
        default=None,
        help_text="Of somebody without an account.",
    )
    is_confirmed = serializers.SerializerMethodField(
        help_text="Whether they have agreed; before that nothing is sent."
    )
    is_standing = serializers.SerializerMethodField(
        help_text="Whether it is about every incident of the service."
    )

    class Meta:
        model = Subscription
        fields = ["id", "user", "address", "is_confirmed", "is_standing", "created_at"]
        read_only_fields = fields

    def get_is_confirmed(self, subscription: Subscription) -> bool:
        return subscription.stakeholder is None or subscription.stakeholder.confirmed_at is not None

    def get_is_standing(self, subscription: Subscription) -> bool:
        return subscription.service_id is not None


class SubscribeSerializer(serializers.Serializer):
    """Somebody by email, who is asked first; without an address, whoever asks."""

    address = serializers.EmailField(required=False)
    standing = serializers.BooleanField(
        default=False, help_text="Every incident of the service, from now on."
    )


class LinkSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="link_id")
    what = serializers.CharField(source="words", help_text="What this incident is to the other, in words.")
    incident = IncidentRefSerializer()


class AddLinkSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(LinkKind.choices)
    other = VisibleField(queryset=Incident.objects.all(), help_text="The id of the other incident.")


class PostmortemSerializer(serializers.ModelSerializer):
    incident = IncidentRefSerializer()
    edited_by = UserRefSerializer(allow_null=True)

    class Meta:
        model = Postmortem
        fields = [
            "id",
            "incident",
            "body",
            "state",
            "version",
            "edited_by",
            "edited_at",
            "published_at",
            "created_at",
        ]
        read_only_fields = fields


class SavePostmortemSerializer(serializers.Serializer):
    body = serializers.CharField(max_length=LONGEST_BODY, allow_blank=True, trim_whitespace=False)
    version = serializers.IntegerField(
        min_value=1,
        max_value=2_147_483_647,
        help_text="The version that was changed: 409 when there is a newer one.",
    )


class PostmortemStateSerializer(serializers.Serializer):
    state = serializers.ChoiceField(PostmortemState.choices)


class ActionItemSerializer(serializers.ModelSerializer):
    incident = IncidentRefSerializer()
    service = ServiceRefSerializer(source="incident.service")
    assignee = UserRefSerializer(allow_null=True)

    class Meta:
        model = ActionItem
        fields = [
            "id", "incident", "service", "text", "assignee", "due_on", "state", "ended_at", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class AddActionItemSerializer(serializers.Serializer):
    incident = VisibleField(queryset=Incident.objects.select_related("service__team"))
    text = serializers.CharField(max_length=500)
    assignee = PersonField(allow_null=True, required=False, default=None)
    due_on = serializers.DateField(allow_null=True, required=False, default=None)


class ChangeActionItemSerializer(serializers.Serializer):
    """What is left out stays."""

    text = serializers.CharField(max_length=500, required=False)
    assignee = PersonField(allow_null=True, required=False)
    due_on = serializers.DateField(allow_null=True, required=False)
    state = serializers.ChoiceField(ActionItemState.choices, required=False)

    def validate_state(self, value: Any) -> ActionItemState:
        return ActionItemState(value)
