from uuid import UUID

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import ListAPIView
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet, ReadOnlyModelViewSet

from incidents.api.lookup import incident_to_see
from incidents.models import Incident
from notifications import browsers, contacts, dead_letters, outbox, verification
from notifications.enums import Channel
from notifications.exceptions import TransportOff
from notifications.models import ContactMethod, Notification, NotificationRule, QuietHours
from notifications.transports import TRANSPORTS, web_push

from . import filters, serializers

NOTIFICATIONS = Notification.objects.select_related("user", "incident").prefetch_related("attempts")


class ContactMethodViewSet(ModelViewSet):
    """How the asker is reached. Nobody else's are shown."""

    queryset = ContactMethod.objects.all()
    serializer_class = serializers.ContactMethodSerializer
    ordering = ("created_at",)
    ordering_fields = ("created_at", "channel")
    throttle_scope: str | None = None

    def get_queryset(self) -> QuerySet[ContactMethod]:
        return self.queryset.filter(user=self.request.user)

    @extend_schema(request=None, responses={202: serializers.NotificationSerializer})
    @action(detail=True, methods=["post"], throttle_scope="test_page")
    def test(self, request: Request, **kwargs: str) -> Response:
        """Send a test page by this method."""
        notification = outbox.send_test(user=request.user, contact_method=self.get_object())
        context = self.get_serializer_context()
        data = serializers.NotificationSerializer(notification, context=context).data
        return Response(data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=serializers.ContactMethodSerializer)
    @action(detail=True, methods=["post"])
    def mended(self, request: Request, **kwargs: str) -> Response:
        """Use a method again that was marked as broken."""
        method = self.get_object()
        contacts.mark_working(method)
        return Response(self.get_serializer(method).data)

    @extend_schema(request=None, responses={202: serializers.NotificationSerializer})
    @action(detail=True, methods=["post"], url_path="send-code", throttle_scope="test_page")
    def send_code(self, request: Request, **kwargs: str) -> Response:
        """Send a new code to its address; older ones are void. It is good for ten minutes."""
        notification = verification.send_code(self.get_object().pk)
        context = self.get_serializer_context()
        data = serializers.NotificationSerializer(notification, context=context).data
        return Response(data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=serializers.CodeSerializer, responses=serializers.ContactMethodSerializer)
    @action(detail=True, methods=["post"], throttle_scope="test_page")
    def verify(self, request: Request, **kwargs: str) -> Response:
        """Type in the code that was sent. Pages go to the method from then on."""
        given = serializers.CodeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        method = verification.verify(self.get_object().pk, given.validated_data["code"])
        return Response(self.get_serializer(method).data)


class PushSubscriptionView(APIView):
    """The browser in which the asker is signed in, as a contact method."""

    @extend_schema(responses=serializers.PushKeySerializer, operation_id="push_subscriptions_key")
    def get(self, request: Request) -> Response:
        """The key that a subscription is made for."""
        if why_off := TRANSPORTS[Channel.WEB_PUSH].why_off():
            raise TransportOff(f"Push to browsers is off in this installation. {why_off}")
        return Response({"public_key": web_push.public_key()})

    @extend_schema(
        request=serializers.PushSubscriptionSerializer,
        responses={200: serializers.ContactMethodSerializer, 201: serializers.ContactMethodSerializer},
    )
    def post(self, request: Request) -> Response:
        """Send the asker's pages to this browser. What was registered before gets its new keys."""
        given = serializers.PushSubscriptionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        method, is_new = browsers.register(
            user=request.user, endpoint=values["endpoint"], label=values["label"], **values["keys"]
        )
        data = serializers.ContactMethodSerializer(method, context={"request": request}).data
        return Response(data, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class NotificationRuleViewSet(ModelViewSet):
    """When the asker is paged: by which method, after how many minutes."""

    queryset = NotificationRule.objects.all()
    serializer_class = serializers.NotificationRuleSerializer
    filterset_class = filters.NotificationRuleFilter
    ordering = ("urgency", "delay_minutes")
    ordering_fields = ("urgency", "delay_minutes", "created_at")

    def get_queryset(self) -> QuerySet[NotificationRule]:
        return self.queryset.filter(user=self.request.user)


class QuietHoursViewSet(ModelViewSet):
    """When only critical pages reach the asker, in their own time zone; others wait for the end."""

    queryset = QuietHours.objects.prefetch_related("allowed_methods")
    serializer_class = serializers.QuietHoursSerializer
    ordering = ("created_at",)
    ordering_fields = ("created_at", "starts")

    def get_queryset(self) -> QuerySet[QuietHours]:
        return self.queryset.filter(user=self.request.user)


class DeadLetterViewSet(ReadOnlyModelViewSet):
    """Notifications that failed for good: those about incidents of the teams that the asker responds for; all of
    them for operators."""

    queryset = NOTIFICATIONS
    serializer_class = serializers.DeadLetterSerializer
    filterset_class = filters.DeadLetterFilter
    ordering = ("-updated_at",)
    ordering_fields = ("updated_at", "created_at")

    def get_queryset(self) -> QuerySet[Notification]:
        find = dead_letters.visible_to if self.request.method in SAFE_METHODS else dead_letters.answerable_by
        visible = find(self.request.user)
        return visible.select_related("user", "incident").prefetch_related("attempts")

    @extend_schema(request=None, responses=serializers.ChangedLettersSerializer)
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, **kwargs: str) -> Response:
        """Send it again, to the contact method's address of today."""
        return counted(dead_letters.replay([self.get_object().pk], by=request.user))

    @extend_schema(request=None, responses=serializers.ChangedLettersSerializer)
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, **kwargs: str) -> Response:
        """Put it away; it stays among the notifications."""
        return counted(dead_letters.discard([self.get_object().pk], by=request.user))

    @extend_schema(
        operation_id="dead_letters_replay_many",
        request=serializers.ChosenLettersSerializer,
        responses=serializers.ChangedLettersSerializer,
    )
    @action(detail=False, methods=["post"], url_path="replay", url_name="replay-many", filterset_class=None)
    def replay_many(self, request: Request) -> Response:
        """Send several again."""
        return counted(dead_letters.replay(chosen(request), by=request.user))

    @extend_schema(
        operation_id="dead_letters_discard_many",
        request=serializers.ChosenLettersSerializer,
        responses=serializers.ChangedLettersSerializer,
    )
    @action(detail=False, methods=["post"], url_path="discard", url_name="discard-many", filterset_class=None)
    def discard_many(self, request: Request) -> Response:
        """Put several away."""
        return counted(dead_letters.discard(chosen(request), by=request.user))


def chosen(request: Request) -> list[UUID]:
    serializer = serializers.ChosenLettersSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data["ids"]


def counted(count: int) -> Response:
    return Response({"count": count})


class NotificationViewSet(ReadOnlyModelViewSet):
    """The asker's own notifications, and those about incidents that the asker sees."""

    queryset = NOTIFICATIONS
    serializer_class = serializers.NotificationSerializer
    filterset_class = filters.NotificationFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "due_at")

    def get_queryset(self) -> QuerySet[Notification]:
        incidents = Incident.objects.visible_to(self.request.user)
        return NOTIFICATIONS.filter(Q(user=self.request.user) | Q(incident__in=incidents))


class IncidentNotificationsView(ListAPIView):
    """Who has been paged about an incident, and what became of it."""

    queryset = NOTIFICATIONS
    serializer_class = serializers.NotificationSerializer
    filterset_class = filters.NotificationFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "due_at")

    def get_queryset(self) -> QuerySet[Notification]:
        return NOTIFICATIONS.filter(incident=incident_to_see(self.request, self.kwargs["incident_id"]))
