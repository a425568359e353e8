"""The code in a message that verifies a contact method.

It is stored nowhere: it is made from the notification's id with the installation's secret key. (A hash of six digits
in the database would be no secret; all of them are tried in a second.)
"""

from uuid import UUID

from django.utils.crypto import salted_hmac

DIGITS = 6
SALT = "notifications.codes"


def code_of(notification_id: UUID) -> str:
    digest = salted_hmac(SALT, notification_id.hex, algorithm="sha256").digest()
    return f"{int.from_bytes(digest[:8]) % 10**DIGITS:0{DIGITS}}"
