"""What an installation knows of itself, beside what people and alerts are about."""

from django.db import models


class Pulse(models.Model):
    """When something that has to happen again and again last happened. Written by openalert.pulse."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Election(models.Model):
    """Which of several processes does what only one may do. Written by openalert.election, by the database's clock."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.CharField(max_length=128)
    until = models.DateTimeField()
    state = models.JSONField(default=dict, db_default={})

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class AuditEntry(models.Model):
    """Something that was done: a line of the audit log. Written by openalert.audit.

    The database refuses to change or remove a line, but for old ones that retention removes (the triggers are in the
    migrations). It names people and objects by id and as they were called: they may be gone, the line stays.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor_kind = models.CharField("kind of actor", max_length=16)
    actor_id = models.UUIDField("person", null=True)
    actor_name = models.CharField("who", max_length=200, blank=True)
    via = models.CharField(
        max_length=100, blank=True, help_text="The door: web, api, admin, a task or command."
    )
    address = models.GenericIPAddressField("from", null=True)
    correlation_id = models.CharField(max_length=128, blank=True)
    action = models.CharField("what", max_length=64)
    object_type = models.CharField("kind of object", max_length=100, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField("object", max_length=200, blank=True)
    changes = models.JSONField(default=dict, blank=True, help_text="By field: before and after.")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["at"], name="audit_by_time"),
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_by_object"),
            models.Index(fields=["actor_id", "-id"], name="audit_by_person"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["correlation_id"], name="audit_by_correlation_id"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name or self.actor_kind}: {self.action} {self.object_name}".strip()
