"""What every table of ours has."""

from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property

from openalert.ids import uuid7


class BaseModel(models.Model):
    """A time-ordered UUID as primary key and the instants of creation and last save (UTC)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta:
        abstract = True

    @cached_property
    def id_text(self) -> str:
        """The id as PostgreSQL writes it, made once."""
        return str(self.pk)
