"""The link to a new password that is mailed. It is made when the mail is sent, and stored nowhere."""

from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from .models import User

# What stands for the link until then: the page that asks for one.
PLACE = "/accounts/reset/"


def path_for(user: User) -> str:
    """Good for PASSWORD_RESET_TIMEOUT, and until the password changes or somebody signs in."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("password-reset-confirm", args=[uid, default_token_generator.make_token(user)])
