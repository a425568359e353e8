"""Text that came from outside, made fit for one line, for XML and for the database."""

import unicodedata

KEPT = "\n\t"
NO_TEXT = ("Cc", "Cs", "Co", "Cn")
# They turn the direction of what follows, and with it of our own words.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Without what neither XML, a mail's header nor PostgreSQL can hold: control characters, halves of surrogate
    pairs and what is no character; and without what turns the direction. Line breaks and tabs stay."""
    return "".join(
        c for c in text if c in KEPT or (unicodedata.category(c) not in NO_TEXT and c not in TURNING)
    )


def one_line(text: str) -> str:
    return " ".join(printable(text).split())
