"""Who does what in an incident, what others are told, and what was learnt, through the API."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from incidents import (
    action_items,
    links,
    postmortems,
    roles,
    status_updates,
    subscriptions,
    task_list,
)
from incidents.enums import ActionItemState, LinkKind, PostmortemState, UpdateState
from incidents.models import (
    ActionItem,
    Incident,
    IncidentLink,
    IncidentTask,
    Postmortem,
    StatusUpdate,
    Subscription,
)
from teams.access import require_respond

from . import filters
from . import response_serializers as serializers
from .lookup import asker, incident_to_change, incident_to_see


class _OfIncident:
    """What stands under an incident's path."""

    request: Request
    kwargs: dict[str, Any]

    def seen(self) -> Incident:
        return incident_to_see(self.request, self.kwargs["incident_id"])

    def changed(self) -> Incident:
        return incident_to_change(self.request, self.kwargs["incident_id"])

    def read(self, input_class: type) -> dict[str, Any]:
        serializer = input_class(data=self.request.data, context={"request": self.request})
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class RolesView(_OfIncident, GenericAPIView):
    """Who has which role. All of them in one answer: they are few."""

    serializer_class = serializers.HeldRoleSerializer
    pagination_class = None
    filter_backends = []

    def get_queryset(self) -> QuerySet[Incident]:
        return Incident.objects.none()

    @extend_schema(responses=serializers.HeldRoleSerializer(many=True))
    def get(self, request: Request, incident_id: UUID) -> Response:
        return Response(serializers.HeldRoleSerializer(roles.roles_of(self.seen()), many=True).data)

    @extend_schema(
        request=serializers.AssignRoleSerializer, responses=serializers.HeldRoleSerializer(many=True)
    )
    def put(self, request: Request, incident_id: UUID) -> Response:
        """Assign a role, or hand it over."""
        incident = self.changed()
        roles.assign(
            incident_id=incident.pk, actor=asker(request), **self.read(serializers.AssignRoleSerializer)
        )
        return Response(serializers.HeldRoleSerializer(roles.roles_of(incident), many=True).data)


class TaskViewSet(_OfIncident, ListModelMixin, GenericViewSet):
    """What is to be done while the incident lasts."""

    queryset = IncidentTask.objects.all()
    serializer_class = serializers.TaskSerializer
    ordering = ("created_at",)
    ordering_fields = ("created_at", "due_at")

    def get_queryset(self) -> QuerySet[IncidentTask]:
        return IncidentTask.objects.filter(incident=self.seen()).select_related("assignee", "done_by")

    @extend_schema(request=serializers.AddTaskSerializer, responses={201: serializers.TaskSerializer})
    def create(self, request: Request, incident_id: UUID) -> Response:
        incident = self.changed()
        given = self.read(serializers.AddTaskSerializer)
        task = task_list.add_task(incident_id=incident.pk, actor=asker(request), **given)
        return Response(serializers.TaskSerializer(task).data, status.HTTP_201_CREATED)

    @extend_schema(request=serializers.ChangeTaskSerializer)
    def partial_update(self, request: Request, incident_id: UUID, pk: UUID) -> Response:
        self.changed()
        task = get_object_or_404(self.get_queryset(), pk=pk)
        given = self.read(serializers.ChangeTaskSerializer)
        is_done = given.pop("done", None)
        if given:
            now = {"text": task.text, "assignee": task.assignee, "due_at": task.due_at}
            task_list.change_task(task_id=task.pk, actor=asker(request), **{**now, **given})
        if is_done is not None:
            task_list.set_done(task_id=task.pk, is_done=is_done, actor=asker(request))
        return Response(serializers.TaskSerializer(self.get_queryset().get(pk=pk)).data)

    def destroy(self, request: Request, incident_id: UUID, pk: UUID) -> Response:
        self.changed()
        task = get_object_or_404(self.get_queryset(), pk=pk)
        task_list.remove_task(task_id=task.pk, actor=asker(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class StatusUpdateViewSet(_OfIncident, ListModelMixin, GenericViewSet):
    """What subscribers were told."""

    queryset = StatusUpdate.objects.all()
    serializer_class = serializers.StatusUpdateSerializer
    ordering = ("-created_at",)
    ordering_fields = ("created_at",)

    def get_queryset(self) -> QuerySet[StatusUpdate]:
        return StatusUpdate.objects.filter(incident=self.seen()).select_related("author")

    @extend_schema(request=serializers.PublishSerializer, responses={201: serializers.StatusUpdateSerializer})
    def create(self, request: Request, incident_id: UUID) -> Response:
        """Tell subscribers; it is mailed to each of them once."""
        incident = self.changed()
        given = self.read(serializers.PublishSerializer)
        update = status_updates.publish(
            incident_id=incident.pk,
            state=UpdateState(given["state"]),
            text=given["text"],
            actor=asker(request),
        )
        return Response(serializers.StatusUpdateSerializer(update).data, status.HTTP_201_CREATED)


class SubscriptionViewSet(_OfIncident, ListModelMixin, GenericViewSet):
    """Who is told. Whoever sees an incident subscribes themselves; responders subscribe others."""

    queryset = Subscription.objects.all()
    serializer_class = serializers.SubscriptionSerializer
    ordering = ("created_at",)
    ordering_fields = ("created_at",)

    def get_queryset(self) -> QuerySet[Subscription]:
        return subscriptions.subscriptions_of(self.seen())

    @extend_schema(
        request=serializers.SubscribeSerializer, responses={201: serializers.SubscriptionSerializer}
    )
    def create(self, request: Request, incident_id: UUID) -> Response:
        given = self.read(serializers.SubscribeSerializer)
        address = given.get("address")
        incident = self.changed() if address else self.seen()
        to: dict[str, Any] = {"service": incident.service} if given["standing"] else {"incident": incident}
        if address:
            made = subscriptions.subscribe_address(address=address, **to)
        else:
            subscriptions.subscribe_user(user=request.user, **to)
            made = Subscription.objects.get(user=request.user, **to)
        made = self.get_queryset().get(pk=made.pk)
        return Response(serializers.SubscriptionSerializer(made).data, status.HTTP_201_CREATED)

    def destroy(self, request: Request, incident_id: UUID, pk: UUID) -> Response:
        incident = self.seen()
        subscription = get_object_or_404(self.get_queryset(), pk=pk)
        if subscription.user_id != request.user.pk:
            require_respond(request.user, incident.service.team)
        subscriptions.remove(subscription_ids=[subscription.pk])
        return Response(status=status.HTTP_204_NO_CONTENT)


class LinksView(_OfIncident, GenericAPIView):
    """The incidents that this one is linked with, as far as the asker sees them. All of them in one answer."""

    serializer_class = serializers.LinkSerializer
    pagination_class = None
    filter_backends = []

    def get_queryset(self) -> QuerySet[IncidentLink]:
        return IncidentLink.objects.none()

    @extend_schema(responses=serializers.LinkSerializer(many=True))
    def get(self, request: Request, incident_id: UUID) -> Response:
        return self._answer(self.seen())

    @extend_schema(
        request=serializers.AddLinkSerializer, responses={201: serializers.LinkSerializer(many=True)}
    )
    def post(self, request: Request, incident_id: UUID) -> Response:
        """Link it with another one. Nothing else about the two changes."""
        incident = self.changed()
        given = self.read(serializers.AddLinkSerializer)
        links.link(
            incident_id=incident.pk,
            other_id=given["other"].pk,
            kind=LinkKind(given["kind"]),
            actor=asker(request),
        )
        return self._answer(incident, status.HTTP_201_CREATED)

    def _answer(self, incident: Incident, status_code: int = status.HTTP_200_OK) -> Response:
        found = links.links_of(incident, user=self.request.user)
        return Response(serializers.LinkSerializer(found, many=True).data, status_code)


class LinkView(_OfIncident, GenericAPIView):
    serializer_class = serializers.LinkSerializer

    def get_queryset(self) -> QuerySet[IncidentLink]:
        return IncidentLink.objects.none()

    @extend_schema(responses={204: None})
    def delete(self, request: Request, incident_id: UUID, link_id: UUID) -> Response:
        """Take a link away, from either end."""
        incident = self.changed()
        ours = IncidentLink.objects.filter(incident=incident) | IncidentLink.objects.filter(other=incident)
        link = get_object_or_404(ours, pk=link_id)
        links.unlink(link_id=link.pk, actor=asker(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PostmortemView(_OfIncident, GenericAPIView):
    """The postmortem of an incident."""

    serializer_class = serializers.PostmortemSerializer

    def get_queryset(self) -> QuerySet[Postmortem]:
        return Postmortem.objects.filter(incident=self.seen()).select_related("incident", "edited_by")

    def get(self, request: Request, incident_id: UUID) -> Response:
        return self._answer()

    @extend_schema(request=None)
    def post(self, request: Request, incident_id: UUID) -> Response:
        """Begin it with the team's template; one that is there stays as it is."""
        postmortems.start(incident_id=self.changed().pk, actor=asker(request))
        return self._answer()

    @extend_schema(request=serializers.SavePostmortemSerializer)
    def put(self, request: Request, incident_id: UUID) -> Response:
        """Write a new text. 409 `postmortem_changed` when somebody else has written one meanwhile."""
        incident = self.changed()
        get_object_or_404(self.get_queryset())
        given = self.read(serializers.SavePostmortemSerializer)
        postmortems.save(
            incident_id=incident.pk, body=given["body"], base_version=given["version"], actor=asker(request)
        )
        return self._answer()

    @extend_schema(request=serializers.PostmortemStateSerializer)
    def patch(self, request: Request, incident_id: UUID) -> Response:
        """Move it to draft, in review or published. Published, its text does not change."""
        incident = self.changed()
        get_object_or_404(self.get_queryset())
        state = PostmortemState(self.read(serializers.PostmortemStateSerializer)["state"])
        postmortems.move(incident_id=incident.pk, state=state, actor=asker(request))
        return self._answer()

    def _answer(self) -> Response:
        return Response(serializers.PostmortemSerializer(get_object_or_404(self.get_queryset())).data)


class ActionItemViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """What is to be done after incidents so that they do not happen again."""

    queryset = ActionItem.objects.all()
    serializer_class = serializers.ActionItemSerializer
    filterset_class = filters.ActionItemFilter
    search_fields = ["text"]
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "due_on", "state")

    def get_queryset(self) -> QuerySet[ActionItem]:
        return action_items.items_visible_to(self.request.user).order_by()

    @extend_schema(
        request=serializers.AddActionItemSerializer, responses={201: serializers.ActionItemSerializer}
    )
    def create(self, request: Request) -> Response:
        given = self._read(serializers.AddActionItemSerializer)
        incident = given.pop("incident")
        require_respond(request.user, incident.service.team)
        item = action_items.add_item(incident_id=incident.pk, actor=asker(request), **given)
        return self._answer(item, status.HTTP_201_CREATED)

    @extend_schema(request=serializers.ChangeActionItemSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        item = get_object_or_404(self.get_queryset(), pk=pk)
        require_respond(request.user, item.incident.service.team)
        given = self._read(serializers.ChangeActionItemSerializer)
        now = {
            "text": item.text,
            "assignee": item.assignee,
            "due_on": item.due_on,
            "state": ActionItemState(item.state),
        }
        action_items.change_item(item_id=item.pk, actor=asker(request), **{**now, **given})
        return self._answer(item)

    def _read(self, input_class: type) -> dict[str, Any]:
        serializer = input_class(data=self.request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def _answer(self, item: ActionItem, status_code: int = status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=item.pk)).data, status_code)
