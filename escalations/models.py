"""Escalation policies, the rules that choose one, and the runs that carry one out."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from incidents.enums import Severity
from incidents.models import Incident
from openalert.base import BaseModel
from teams.models import Schedule, Service, Team, TeamOwnedQuerySet

from .enums import RunStatus, TargetKind

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User


class EscalationPolicy(BaseModel):
    """Whom to page, in what order, and how often to start over when nobody answers."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="escalation_policies")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    repeat_count = models.PositiveSmallIntegerField(
        "repeat",
        default=1,
        validators=[MaxValueValidator(20)],
        help_text="How many times to go through all steps again after the first time.",
    )

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "escalation policies"
        constraints = [models.UniqueConstraint(Lower("name"), "team", name="policy_name_unique_in_team")]

    def __str__(self) -> str:
        return self.name


class EscalationStep(BaseModel):
    """One level: its targets are paged at once, then it waits for an answer."""

    policy = models.ForeignKey(EscalationPolicy, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=0)
    delay_minutes = models.PositiveSmallIntegerField(
        "wait (minutes)",
        default=5,
        validators=[MaxValueValidator(1440)],
        help_text="How long to wait for an answer before the next step.",
    )

    class Meta:
        ordering = ["policy", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "position"],
                name="step_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy} · step {self.position + 1}"


class StepTarget(BaseModel):
    """Whom a step pages: exactly one of a person, a schedule's on-call, a whole team."""

    step = models.ForeignKey(EscalationStep, on_delete=models.CASCADE, related_name="targets")
    kind = models.CharField(max_length=16, choices=TargetKind)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    kind=TargetKind.USER, user__isnull=False, schedule__isnull=True, team__isnull=True
                )
                | Q(kind=TargetKind.SCHEDULE, user__isnull=True, schedule__isnull=False, team__isnull=True)
                | Q(kind=TargetKind.TEAM, user__isnull=True, schedule__isnull=True, team__isnull=False),
                name="step_target_is_exactly_one",
            ),
            models.UniqueConstraint(
                fields=["step", "user", "schedule", "team"], name="step_target_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return str(self.target)

    @property
    def target(self) -> "User | Schedule | Team | None":
        return getattr(self, self.kind, None) if self.kind else None

    def clean(self) -> None:
        super().clean()
        given = {kind for kind in TargetKind if getattr(self, f"{kind}_id")}
        if given != {self.kind}:
            raise ValidationError(
                f"Choose exactly one target, and of the kind “{TargetKind(self.kind).label}”."
                if self.kind
                else "Choose a target."
            )


class RoutingRule(BaseModel):
    """Which policy deals with an incident: the first rule of the team, by position, that matches."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="routing_rules")
    position = models.PositiveSmallIntegerField(default=0)
    service = models.ForeignKey(
        Service,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="routing_rules",
        help_text="Empty: any service of the team.",
    )
    severities = ArrayField(
        models.CharField(max_length=16, choices=Severity),
        default=list,
        blank=True,
        help_text="Empty: any severity.",
    )
    policy = models.ForeignKey(EscalationPolicy, on_delete=models.PROTECT, related_name="routing_rules")

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["team", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "position"],
                name="routing_rule_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(
                condition=Q(severities__contained_by=Severity.values), name="routing_rule_severities_known"
            ),
        ]

    def __str__(self) -> str:
        which = [str(self.service) if self.service else "any service"]
        which.append(", ".join(Severity(s).label.lower() for s in self.severities) or "any severity")
        return f"{' · '.join(which)} → {self.policy}"

    def clean(self) -> None:
        super().clean()
        if self.service_id and self.team_id and self.service.team_id != self.team_id:
            raise ValidationError({"service": "Choose a service of the rule's own team."})


class EscalationRunQuerySet(models.QuerySet["EscalationRun"]):
    def visible_to(self, user: "User | AnonymousUser") -> "EscalationRunQuerySet":
        return self.filter(incident__service__team__in=Team.objects.visible_to(user))


class EscalationRun(BaseModel):
    """A policy being carried out for an incident. Written only by escalations.engine.

    `snapshot` is the policy as it was when the run began (escalations.snapshot has its shape), so that
    editing a policy cannot corrupt a run. `loop` and `step` name the step that `due_at` will carry out;
    a step past the last one stands for the wait after it.
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
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=32, blank=True)

    objects = EscalationRunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
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
            models.Index(fields=["priority", "due_at"], condition=Q(due_at__isnull=False), name="run_due")
        ]

    def __str__(self) -> str:
        return f"{self.snapshot['policy']} for {self.incident}"
