"""The first administrator of an installation, made on a page that is there only until there is one.

Whoever opens the page proves with the set-up code that the installation is theirs. The code follows from SECRET_KEY, so
that nothing has to be stored or set, and every web process, of however many, knows the same one. It stands in the web's
log; a variable of its own would be one more secret to choose, which people choose badly and leave behind.
"""

import base64
import hmac
import logging
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils.crypto import constant_time_compare

from openalert import audit

from .exceptions import NotTheSetUpCode, SetUpAlready
from .models import User

logger = logging.getLogger(__name__)

CODE_BYTES = 15  # 120 bits: 24 letters and digits
GROUP = 4


def is_wanted() -> bool:
    """Whether there is nobody yet who could administer the installation.

    People who came in by the identity provider do not count while none of them is an administrator: whoever signs in
    first would otherwise leave the installation without one for ever.
    """
    return not User.objects.filter(Q(is_superuser=True) | Q(identities=None)).exists()


def set_up_code() -> str:
    """Like ABCD-EFGH-…: the same until SECRET_KEY changes, and worth nothing once there is an administrator."""
    digest = hmac.digest(settings.SECRET_KEY.encode(), b"the first administrator's set-up code", "sha256")
    letters = base64.b32encode(digest[:CODE_BYTES]).decode()
    return "-".join(letters[start : start + GROUP] for start in range(0, len(letters), GROUP))


def is_set_up_code(given: str) -> bool:
    """Case, spaces and dashes do not count."""
    return constant_time_compare(_plain(given), _plain(set_up_code()))


def _plain(code: str) -> str:
    return "".join(character for character in code.upper() if character.isascii() and character.isalnum())


@transaction.atomic
def make(*, code: str, email: str, password: str | None = None, **fields: Any) -> User:
    """The first administrator, with `fields` of User; without a password, signing in is left to the identity provider.

    Somebody whom the provider brought in already, by their address, becomes it, and stays as they are otherwise.
    Of two at once, one wins: the table is locked against any other new person until the end of the transaction.
    Raises NotTheSetUpCode, SetUpAlready, ValidationError.
    """
    if not is_set_up_code(code):
        raise NotTheSetUpCode(field="code")
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {User._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
    if not is_wanted():
        raise SetUpAlready
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        user = User.objects.create_superuser(email, password, **fields)
    else:
        user.is_staff = user.is_superuser = user.is_active = True
        user.save()
    audit.record("first_administrator", user)
    return user


def announce() -> None:
    """Tell whoever reads the web's log where to begin, while there is no administrator."""
    try:
        if is_wanted():
            logger.warning(
                "There is no administrator yet. Open %s/set-up/ and type in the set-up code %s",
                settings.SITE_URL,
                set_up_code(),
            )
    except DatabaseError as failure:
        logger.warning(
            "Whether there is an administrator is not known (%r). `manage.py set_up_code` tells.", failure
        )
    finally:
        connection.close()
