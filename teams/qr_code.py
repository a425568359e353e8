"""The secret of an authenticator app as it is shown: a QR code made here, as SVG without styles, and as text."""

import segno
from django.utils.safestring import SafeString, mark_safe

from . import second_factor
from .models import SecondFactor


def for_factor(factor: SecondFactor) -> SafeString:
    """The code as an svg element that is as large as its place. Dark on light whatever the theme: scanners want that."""
    code = segno.make(second_factor.address_for_app(factor), error="m", micro=False)
    drawn = code.svg_inline(omitsize=True, dark="#000", light="#fff", border=4, svgclass=None, lineclass=None)
    return mark_safe(drawn)  # noqa: S308  (segno's own, of numbers only)


def key_in_words(factor: SecondFactor) -> str:
    """For who types it: groups of four, in lines that a phone has room for."""
    secret = factor.secret
    lines = [secret[at : at + 16] for at in range(0, len(secret), 16)]
    return "\n".join(" ".join(line[at : at + 4] for at in range(0, len(line), 4)) for line in lines)
