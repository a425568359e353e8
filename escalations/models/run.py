"""Policies being carried out."""

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models
from django.db.models import Q

from escalations.enums import RunStatus, WaitReason
from incidents.models import Incident
from openalert.base import BaseModel
from teams.models import Team

from .policy import EscalationPolicy

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User

NO_LANE = UUID(int=0)


class EscalationRunQuerySet(models.QuerySet["EscalationRun"]):
    def newest_first(self) -> "EscalationRunQuerySet":
        return self.order_by("-created_at", "-pk")

    def visible_to(self, user: "User | AnonymousUser") -> "EscalationRunQuerySet":
        return self.filter(incident__service__team__in=Team.objects.visible_to(user))


class EscalationRun(BaseModel):
    """A policy being carried out for an incident. Written only by escalations.engine.

    `snapshot` is the policy as it was when the run began (escalations.snapshot has its shape), so that
    editing a policy cannot corrupt a run. `loop` and `step` name the step that `due_at` will carry out;
    a step past the last one stands for the wait after it. While `waits_for` is set, `due_at` is when it is to go on.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="escalation_runs")
    policy = models.ForeignKey(
        EscalationPolicy, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    snapshot = models.JSONField()
    status = models.CharField(max_length=16, choices=RunStatus, default=RunStatus.RUNNING)
    priority = models.PositiveSmallIntegerField(help_text="0 first: the severity's rank.")
    loop = models.PositiveSmallIntegerField(default=0)
    step = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    lane = models.UUIDField(
        default=NO_LANE,
        db_default=NO_LANE,
        editable=False,
        help_text="The incident's team when the run began: runs of several lanes are carried out by turns.",
    )
    is_by_hand = models.BooleanField(
        default=False,
        db_default=False,
        help_text="A person asked for it: it waits for no hours and no window.",
    )
    waits_for = models.CharField(max_length=16, choices=WaitReason, blank=True, default="", db_default="")
    waits_until = models.DateTimeField(null=True, blank=True)
    resumes_at = models.DateTimeField(
        null=True, blank=True, help_text="When the acknowledgement that stopped it runs out."
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=32, blank=True)

    objects = EscalationRunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident"],
                condition=Q(status=RunStatus.RUNNING),
                name="run_running_once_per_incident",
            ),
            models.CheckConstraint(
                condition=Q(status=RunStatus.RUNNING, due_at__isnull=False, ended_at__isnull=True)
                | (~Q(status=RunStatus.RUNNING) & Q(due_at__isnull=True, ended_at__isnull=False)),
                name="run_due_iff_running",
            ),
            models.CheckConstraint(condition=Q(status__in=RunStatus.values), name="run_status_known"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="run_due_at"),
            models.Index(
                fields=["lane", "priority", "due_at"], condition=Q(due_at__isnull=False), name="run_in_lane"
            ),
            models.Index(fields=["resumes_at"], condition=Q(resumes_at__isnull=False), name="run_to_resume"),
        ]

    @property
    def wait_reason(self) -> WaitReason | None:
        return WaitReason(self.waits_for) if self.waits_for else None

    def __str__(self) -> str:
        return f"{self.snapshot['policy']} for {self.incident}"
