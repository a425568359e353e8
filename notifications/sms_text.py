"""How long a text message is: GSM-7 or UCS-2, in segments (3GPP TS 23.038, §6.2; TS 23.040, §9.2.3.24.1).

A message of one segment has room for 160 GSM-7 characters or 70 UTF-16 units; in a longer one each segment loses
some to the header that joins them. A single character outside GSM-7 makes all of it UCS-2.
"""

import unicodedata
from dataclasses import dataclass

GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_TWO = frozenset("^{}\\[~]|€\f")  # behind an escape: two places each

PLAINER = str.maketrans(
    {
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "`": "'", "´": "'",
        "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "…": "...", "•": "*", "·": "*", "×": "x", "→": "->",
        "←": "<-", "≥": ">=", "≤": "<=", "≠": "!=", "°": " deg", "\t": " ", "\u00a0": " ", "\u202f": " ",
        "\u200b": "", "\ufeff": "",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    encoding: str  # "GSM-7" or "UCS-2"
    units: int
    segments: int


def size(text: str) -> Size:
    """How a text travels, and in how many segments."""
    is_gsm = all(character in GSM_7 or character in GSM_7_TWO for character in text)
    single, joined = (160, 153) if is_gsm else (70, 67)
    widths = [_width(character, is_gsm) for character in text]
    units = sum(widths)
    if units <= single:
        return Size("GSM-7" if is_gsm else "UCS-2", units, 1)
    segments, room = 1, joined
    for width in widths:  # no character is cut in two
        if width > room:
            segments, room = segments + 1, joined
        room -= width
    return Size("GSM-7" if is_gsm else "UCS-2", units, segments)


def _width(character: str, is_gsm: bool) -> int:
    if is_gsm:
        return 2 if character in GSM_7_TWO else 1
    return 2 if ord(character) > 0xFFFF else 1


def plain(text: str) -> str:
    """The text with typographic characters and accents made plain, if that brings it into GSM-7; else as it is.

    “Überlast – Kraków” loses nothing that matters and keeps its 160 characters. Control characters are dropped.
    """
    text = "".join(
        c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") or c == "\t"
    )
    plainer = "".join(_plain_letter(c) for c in text.translate(PLAINER))
    return plainer if size(plainer).encoding == "GSM-7" else text


def _plain_letter(character: str) -> str:
    if character in GSM_7 or character in GSM_7_TWO:
        return character
    base = unicodedata.normalize("NFKD", character)
    return "".join(part for part in base if not unicodedata.combining(part))


def cut(text: str, characters: int) -> str:
    """At most so many characters, three of them dots when something was left out."""
    return text if len(text) <= characters else text[: max(characters - 3, 0)].rstrip() + "..."
