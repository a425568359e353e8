"""Which policy is in charge of an incident, and when low urgency may wait."""

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from escalations import hours
from escalations.exceptions import InvalidHours
from incidents.enums import Severity
from openalert.base import BaseModel
from teams.models import Service, Team, TeamOwnedQuerySet, validate_time_zone

from .policy import EscalationPolicy

MOST_LABELS = 20
MAX_LABEL = 256


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
    labels = models.JSONField(
        default=dict,
        blank=True,
        help_text='What the incident\'s alerts have to have, like {"env": "prod"}; an empty value is any value.',
    )
    hours = models.JSONField(
        null=True,
        blank=True,
        help_text='Like {"from": "22:00", "until": "06:00", "weekdays": ["sat"]}. Empty: at any time.',
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text="On whose clocks the hours are. Empty: the team's.",
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
        return f"{self.conditions_in_words} → {self.policy}"

    @property
    def conditions_in_words(self) -> str:
        which = [str(self.service) if self.service else "any service"]
        which.append(", ".join(Severity(s).label.lower() for s in self.severities) or "any severity")
        which += [f"{name} = {value}" if value else f"has {name}" for name, value in self.labels.items()]
        if self.hours:
            which.append(hours.in_words(self.hours) + (f" ({self.time_zone})" if self.time_zone else ""))
        return " · ".join(which)

    @property
    def takes_everything(self) -> bool:
        return not (self.service_id or self.severities or self.labels or self.hours)

    @property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone or self.team.time_zone)

    def clean(self) -> None:
        super().clean()
        if self.service_id and self.team_id and self.service.team_id != self.team_id:
            raise ValidationError({"service": "Choose a service of the rule's own team."})
        _check_labels(self.labels)
        if self.hours is not None:
            _check("hours", hours.read, self.hours)


def _check_labels(labels: Any) -> None:
    if not isinstance(labels, dict) or len(labels) > MOST_LABELS:
        raise ValidationError({"labels": f"Give at most {MOST_LABELS} labels with their values."})
    for name, value in labels.items():
        texts = (name, value)
        if not name or any(not isinstance(t, str) or len(t) > MAX_LABEL or "\0" in t for t in texts):
            raise ValidationError(
                {"labels": f"Names and values are texts of at most {MAX_LABEL} characters."}
            )


def _check(field: str, read: Any, value: Any) -> None:
    try:
        read(value)
    except InvalidHours as fault:
        words = f"{fault.field}: {fault.detail}" if fault.field else fault.detail
        raise ValidationError({field: words}) from fault


class PagingSettings(BaseModel):
    """What a team has decided about paging; teams without a row have decided nothing. Written by escalations.team_settings."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="paging_settings")
    default_policy = models.ForeignKey(
        EscalationPolicy,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="default_of",
        help_text="Is in charge of every incident that no routing rule takes.",
    )
    low_urgency_waits = models.BooleanField(
        default=False,
        help_text="Nobody is paged for medium and low incidents outside the working hours.",
    )
    working_hours = models.JSONField(
        default=dict,
        blank=True,
        help_text='By weekday, like {"mon": {"from": "09:00", "until": "17:00"}}.',
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text="On whose clocks the working hours are. Empty: the team's.",
    )

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "paging settings"

    def __str__(self) -> str:
        return f"Paging of {self.team}"

    @property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone or self.team.time_zone)

    def clean(self) -> None:
        super().clean()
        _check("working_hours", hours.read_week, self.working_hours)
        if self.low_urgency_waits and not self.working_hours:
            raise ValidationError(
                {"working_hours": "Say when the team works, or nobody would ever be paged."}
            )
        if self.default_policy_id and self.team_id and self.default_policy.team_id != self.team_id:
            raise ValidationError({"default_policy": "Choose a policy of the team itself."})
