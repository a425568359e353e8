"""What somebody has beside their password."""

from django.db import models

from openalert.base import BaseModel
from openalert.encryption import EncryptedCharField

from .people import User


class SecondFactor(BaseModel):
    """The secret in a person's authenticator app (RFC 6238). Until a first code confirms it, it is asked for nowhere."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    secret = EncryptedCharField(max_length=64, help_text="Base32.")
    began_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(
        default=0, help_text="The last one whose code was used: none is twice."
    )
    failures = models.PositiveSmallIntegerField(default=0, help_text="Wrong codes, one soon after the other.")
    failed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Second factor of {self.user}"


class RecoveryCode(BaseModel):
    """Opens once what the app would. Only its hash is kept."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["factor", "code_hash"], name="recovery_code_once")]

    def __str__(self) -> str:
        return f"Recovery code of {self.factor.user}"
