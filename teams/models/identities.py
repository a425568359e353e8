"""People's accounts at the identity provider, and what groups there give."""

from django.db import models
from django.db.models import Q

from openalert.base import BaseModel
from teams.enums import InstallationRole, Role

from .people import Team, User


class Identity(BaseModel):
    """An account at an OpenID provider: the subject is never given to anybody else there, an email address may be."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255, help_text="As in OIDC_ISSUER.")
    subject = models.CharField(max_length=255, help_text="The claim “sub”, as the provider sends it.")

    class Meta:
        verbose_name_plural = "identities"
        ordering = ["issuer", "subject"]
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class GroupMapping(BaseModel):
    """What a group at the provider gives whoever is in it, at each sign-in: a role in a team, in the installation, or both."""

    group = models.CharField(max_length=255, help_text="As the provider sends it: a name, a path or an id.")
    team = models.ForeignKey(
        Team, on_delete=models.CASCADE, null=True, blank=True, related_name="group_mappings"
    )
    role = models.CharField("role in the team", max_length=16, choices=Role, default=Role.RESPONDER)
    installation_role = models.CharField(
        max_length=16,
        choices=InstallationRole,
        blank=True,
        help_text="Once any group gives a role here, those who sign in by the provider have it by their groups only.",
    )

    class Meta:
        ordering = ["group"]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "team"],
                name="mapping_once_per_team",
                violation_error_message="This group gives a role in this team already.",
            ),
            models.UniqueConstraint(
                fields=["group"],
                condition=Q(team=None),
                name="mapping_once_without_team",
                violation_error_message="This group gives a role in the installation already.",
            ),
            models.CheckConstraint(
                condition=Q(team__isnull=False) | ~Q(installation_role=""),
                name="mapping_gives_something",
                violation_error_message="Choose a team, a role in the installation, or both.",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="mapping_role_known"),
            models.CheckConstraint(
                condition=Q(installation_role__in=["", *InstallationRole.values]),
                name="mapping_installation_role_known",
            ),
        ]

    def __str__(self) -> str:
        given = [f"{self.get_role_display()} of {self.team}"] if self.team_id else []
        given += [self.get_installation_role_display()] if self.installation_role else []
        return f"{self.group}: {', '.join(given)}"
