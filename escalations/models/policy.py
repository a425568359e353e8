"""Escalation policies: whom to page, in what order."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from escalations.enums import TargetKind
from openalert.base import BaseModel
from teams.models import Schedule, Team, TeamOwnedQuerySet

if TYPE_CHECKING:
    from teams.models import User

LONGEST_DELAY_SECONDS = 24 * 60 * 60
LONGEST_ACKNOWLEDGEMENT_MINUTES = 7 * 24 * 60


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
    acknowledge_timeout_minutes = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_ACKNOWLEDGEMENT_MINUTES)],
        help_text="Paging goes on when an incident is not resolved so long after it was acknowledged. Empty: never.",
    )

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "escalation policies"
        constraints = [models.UniqueConstraint(Lower("name"), "team", name="policy_name_unique_in_team")]

    def __str__(self) -> str:
        return self.name


class EscalationStep(BaseModel):
    """One level: its targets are paged together, then it waits for an answer. With no wait the next follows at once."""

    policy = models.ForeignKey(EscalationPolicy, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=0)
    delay_seconds = models.PositiveIntegerField(
        "wait (seconds)",
        default=300,
        validators=[MaxValueValidator(LONGEST_DELAY_SECONDS)],
        help_text="How long to wait for an answer before the next step. 0: the next step at once.",
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

    @property
    def delay(self) -> timedelta:
        return timedelta(seconds=self.delay_seconds)


def _is(kind: TargetKind) -> Q:
    """The condition that a target of this kind names what its kind is about, and nothing else."""
    return Q(kind=kind) & Q(
        **{f"{name}__isnull": name != kind.field for name in ("user", "schedule", "team")}
    )


class StepTarget(BaseModel):
    """Whom a step pages: exactly one person, schedule or team; `kind` says who of it."""

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
                condition=_is(TargetKind.USER)
                | _is(TargetKind.SCHEDULE)
                | _is(TargetKind.ROUND_ROBIN)
                | _is(TargetKind.TEAM)
                | _is(TargetKind.MANAGER),
                name="step_target_is_exactly_one",
            ),
            models.UniqueConstraint(
                fields=["step", "kind", "user", "schedule", "team"],
                name="step_target_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        match self.kind:
            case TargetKind.ROUND_ROBIN:
                return f"{self.target}, in turn"
            case TargetKind.MANAGER:
                return f"Managers of {self.target}"
            case _:
                return str(self.target)

    @property
    def target(self) -> "User | Schedule | Team | None":
        return getattr(self, TargetKind(self.kind).field, None) if self.kind else None

    def clean(self) -> None:
        super().clean()
        given = {name for name in ("user", "schedule", "team") if getattr(self, f"{name}_id")}
        if not self.kind or given != {TargetKind(self.kind).field}:
            raise ValidationError(
                f"Choose exactly one target, and of the kind “{TargetKind(self.kind).label}”."
                if self.kind
                else "Choose a target."
            )


class RoundRobinTurn(BaseModel):
    """Who was paged last by a round robin: `key` is the policy's, the step's and the schedule's.

    Written only by escalations.turns. It has no foreign keys, for a run carries out steps of policies that are gone.
    """

    key = models.CharField(max_length=128, unique=True)
    last_user_id = models.UUIDField(null=True)
    last_place = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.key
