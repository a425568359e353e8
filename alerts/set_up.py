"""What people have to do in the other system so that its alerts come in: a text for each source, in templates."""

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from . import mail_intake
from .addresses import NATIVE_PATH, PREFIX
from .enums import Source
from .models import Integration

KEY_PLACE = "<integration key>"
# Those whose clients insist on an address of their own, with the key elsewhere.
OWN_ADDRESSES = {Source.OPENALERT: NATIVE_PATH, Source.PAGERDUTY: "/v2/enqueue", Source.OPSGENIE: "/"}


def set_up_text(integration: Integration, key: str = KEY_PLACE) -> SafeString:
    """The steps as HTML, ready to be copied from once the key is in it."""
    return render_to_string(
        f"alerts/setup/{integration.source}.html",
        {
            "site": settings.SITE_URL,
            "key": key,
            "address": address_of(integration.source, key),
            "integration": integration,
        },
    )


def address_of(source: str, key: str) -> str:
    """Where a source sends to."""
    if source == Source.EMAIL:
        return mail_intake.address_of(key)
    return f"{settings.SITE_URL}{OWN_ADDRESSES.get(Source(source), f'{PREFIX}{source}/{key}')}"
