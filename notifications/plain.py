"""Text that came from outside, made fit for one line, for XML and for the database."""

import unicodedata


def printable(text: str) -> str:
    """Without what neither XML, a mail's header nor PostgreSQL can hold: control characters, halves of surrogate
    pairs and what is no character. Line breaks and tabs stay."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn"))


def one_line(text: str) -> str:
    return " ".join(printable(text).split())
