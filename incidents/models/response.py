"""Who does what in an incident: roles, tasks, and how incidents hang together."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from incidents.enums import LinkKind
from openalert.base import BaseModel
from teams.models import Team

from .incident import Incident


class ResponseSettings(BaseModel):
    """How a team works on incidents; without a team, how all teams do that say nothing else.

    `roles` are names with what each does, a line each, “Name: what it does”; empty, those of the installation (or
    ours, incidents.response_settings). `postmortem_template` likewise.
    """

    team = models.OneToOneField(
        Team,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="response_settings",
        help_text="Empty: for every team that has none of its own.",
    )
    roles = models.TextField(
        blank=True,
        max_length=4_000,
        help_text="A line for each: “Name: what it does”. Empty: as the installation has it.",
    )
    postmortem_template = models.TextField(
        blank=True,
        max_length=20_000,
        help_text="Markdown, what a postmortem starts with. Empty: as the installation has it.",
    )

    class Meta:
        verbose_name_plural = "response settings"
        constraints = [
            models.UniqueConstraint(
                fields=["team"],
                nulls_distinct=False,
                name="response_settings_once",
                violation_error_message="There are settings for it already.",
            )
        ]

    def __str__(self) -> str:
        return f"Response settings of {self.team or 'all teams'}"


class RoleAssignment(BaseModel):
    """Who has a role on an incident. Written only by incidents.roles."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="roles")
    role = models.CharField(max_length=60)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["incident", "role"], name="role_once_per_incident")]

    def __str__(self) -> str:
        return f"{self.role}: {self.user}"


class IncidentTask(BaseModel):
    """Something to do while the incident lasts. Written only by incidents.task_list."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="tasks")
    text = models.CharField(max_length=500)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    due_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return self.text


class IncidentLink(BaseModel):
    """`incident` relates to, is caused by or is a duplicate of `other`. Written only by incidents.links."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="links")
    kind = models.CharField(max_length=16, choices=LinkKind)
    other = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="linked_from")

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "other", "kind"], name="link_once"),
            models.CheckConstraint(condition=Q(kind__in=LinkKind.values), name="link_kind_known"),
            models.CheckConstraint(condition=~Q(incident=F("other")), name="link_with_another"),
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.get_kind_display()} {self.other_id}"
