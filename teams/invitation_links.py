"""The link in an invitation. It is made when the mail is sent, and stored nowhere."""

from datetime import timedelta

from django.core import signing
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from .models import User

LASTS = timedelta(days=7)
# What stands for the link until then: where people sign in.
PLACE = "/accounts/login/?invited"
SALT = "teams.invitation_links"


def path_for(user: User) -> str:
    """Good for LASTS, and until a password or another address is given."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("invitation", args=[uid, InvitationTokens().make_token(user)])


class InvitationTokens:
    """As Django's views of links to a new password want them; those last for an hour only."""

    def make_token(self, user: User) -> str:
        return signing.dumps(_state_of(user), salt=SALT)

    def check_token(self, user: User | None, token: str) -> bool:
        if user is None:
            return False
        try:
            state = signing.loads(token, salt=SALT, max_age=LASTS)
        except signing.BadSignature:
            return False
        return isinstance(state, str) and constant_time_compare(state, _state_of(user))


def _state_of(user: User) -> str:
    """Another one with each password: also of who has none there is something to tell the last one by."""
    return salted_hmac(SALT, f"{user.pk} {user.password} {user.email}").hexdigest()
