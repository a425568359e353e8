"""What must not stand in a log: tokens, keys, passwords, telephone numbers.

Values go by the name they have (`api_key`), and whatever looks like a secret inside a text goes too. What is hidden is
written ***; of a telephone number the last two digits stay, so that two can be told apart.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

HIDDEN = "***"
# What is nested deeper is written as text.
DEEPEST = 6
# A secret of ours that is shorter would hide ordinary words.
SHORTEST_OWN_SECRET = 6

HIDDEN_NAMES = (
    r"pass(?:word|wd|phrase)|secret(?:[_-]?key)?|token|authori[sz]ation|credentials?|cookie|csrf(?:middleware)?token|"
    r"session[_-]?(?:id|key)|(?:api|access|private|routing|integration|service|account|auth)[_-]?key|signature|otp"
)
SECRET_NAME = re.compile(
    rf"(?:.*[_.-])?(?:{HIDDEN_NAMES})s?|key|.*(?:password|secret|token)|jwt", re.IGNORECASE
)
PHONE_NAME = re.compile(r"(?:.*[_.-])?(?:phone|phone_number|mobile|msisdn)", re.IGNORECASE)

Replacement = str | Callable[[re.Match[str]], str]


def _masked_phone(found: re.Match[str]) -> str:
    return f"+{HIDDEN}{found[0][-2:]}"


PATTERNS: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    # Headers and what stands in them.
    (
        re.compile(r"\b(Bearer|Basic|GenieKey|Digest|AccessKey)\s+[\w.~+/=-]{6,}", re.IGNORECASE),
        rf"\1 {HIDDEN}",
    ),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), HIDDEN),
    # user:password@ in an address.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    # Addresses that are secrets themselves: ours, and those of chat systems.
    (re.compile(r"(/integrations/[\w-]+/)[^\s/?\"'>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/integrations-inbound/[\w-]+/)[^\s/?\"'>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/ping/)[^\s/?\"'>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\bping-[\w-]{24,32}(?=@)", re.IGNORECASE), HIDDEN),
    (re.compile(r"(/answer/)[^\s/?\"'>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/accounts/(?:reset|invitation)/)[\w-]+/[\w:-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/calendar/)[^\s/?\"'>]+(\.ics)"), rf"\1{HIDDEN}\2"),
    (re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[^\s?\"'>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/api/webhooks/)[^\s?\"'>]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(/bot)\d+:[\w-]+"), rf"\1{HIDDEN}"),
    # name=value, "name": "value", name: value.
    (
        re.compile(
            rf"((?:\b|_)(?:{HIDDEN_NAMES})[\"']?\s*(?:=|:|=>)\s*[\"']?)(?!\*\*\*)[^\s\"'&,;)}}\]]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"([?&]key=)[^\s&\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Integration keys by themselves: 32 hexadecimal digits.
    (re.compile(r"(?<![0-9A-Fa-f-])[0-9a-f]{32}(?![0-9A-Fa-f-])"), HIDDEN),
    # Telephone numbers as E.164 has them, with or without separators.
    (re.compile(r"(?<![\w+])(?:\+|%2B)[1-9](?:[ ().-]{0,2}\d){6,14}(?!\d)", re.IGNORECASE), _masked_phone),
)


class Redactor:
    """Hides secrets in texts and structures; `own` are this installation's, to be hidden wherever they stand."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._own = sorted(
            {secret for secret in own if len(secret) >= SHORTEST_OWN_SECRET}, key=len, reverse=True
        )

    def text(self, text: str) -> str:
        for secret in self._own:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any, *, name: str = "", depth: int = 0) -> Any:
        """The same value fit for a log: plain JSON types only, whatever it was."""
        if value is None or isinstance(value, bool):
            return value
        if name and SECRET_NAME.fullmatch(name):
            return HIDDEN
        if name and PHONE_NAME.fullmatch(name):
            return HIDDEN + str(value)[-2:]
        if isinstance(value, int | float):
            return value
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, str):
            return self.text(value)
        if depth < DEEPEST:
            if isinstance(value, Mapping):
                return {
                    self.text(str(key)): self.value(item, name=str(key), depth=depth + 1)
                    for key, item in value.items()
                }
            if isinstance(value, list | tuple | set | frozenset):
                return [self.value(item, depth=depth + 1) for item in value]
        return self.text(str(value))
