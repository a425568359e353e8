"""What the words of monitoring mail say of the problem: is it over, how bad is it, which one is it.

There is no standard, but there are usual places for a state: in brackets (“[FIRING:2] …”), before a colon
(“Resolved in 5m: …”), after “is” (“… is CRITICAL **”), after an arrow (“OK -> CRIT”) and at the end. Elsewhere
a word is just a word: “Backup of ok.example.org” is not good news.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.enums import EventStatus
from incidents.enums import Severity

from .reading import SEVERITIES

OVER = (
    *(
        "resolved",
        "ok",
        "okay",
        "recovery",
        "recovered",
        "up",
        "closed",
        "cleared",
        "clear",
        "normal",
        "fixed",
    ),
    *("healthy", "online", "success", "successful", "succeeded"),
)
SEEN = ("acknowledged", "acknowledgement", "acknowledgment")
# A mail with one of these beside a word of good news brings none.
BAD = (
    *("firing", "down", "failed", "failing", "failure", "fail", "triggered", "re-triggered", "fired"),
    *("unreachable", "offline", "unhealthy", "degraded"),
)
# They tell nothing by themselves, and the mails about one problem may have different ones.
LABELS = (
    *("problem", "alert", "alerting", "alarm", "unknown", "opened", "open", "no data", "insufficient_data"),
    *("crit", "err", "notice", "custom", "reminder", "flappingstart", "flappingstop", "flappingdisabled"),
    *("downtimestart", "downtimeend", "downtimecancelled"),
)
FILLERS = (
    *("monitor", "monitoring", "service", "host", "site", "check", "server", "incident", "issue", "event"),
    *("notification", "status", "state", "is", "now", "back", "updated", "new"),
)
# States that are known for such without a colon or brackets when they are in capitals and come first, as in
# “** RECOVERY Host Alert: web01 is UP **”.
SHOUTED = ("resolved", "recovery", "recovered", "cleared", *SEEN, *BAD, *LABELS, "critical", "warning")

RANK = r"(?:p|sev[- ]?)[0-5]"
BY_RANK = (Severity.CRITICAL, Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.LOW)
# Said anywhere in a subject, these tell how bad it is; “low” and “error” may be about anything.
LOUD = re.compile(rf"\b(?:critical|crit|emergency|disaster|fatal|warning|{RANK})\b", re.IGNORECASE)

REPLY = re.compile(r"\s*(?:re|fwd?|aw|wg|sv|vs|antw|tr|rv)(?:\[\d+\])?\s*:", re.IGNORECASE)
EDGES = " *#:|!,;._-–—"
# The patterns take a time that grows with the square of the length.
LONGEST_SUBJECT = 400
MOST_LINES = 60


class Subject(NamedTuple):
    """`stem` is what is left without the states: the same in all mails about one problem."""

    stem: str
    status: EventStatus | None
    severity: Severity | None


class Words:
    """How one integration's mails are understood.

    `over` are its own words of good news, instead of the usual ones; `firing` its own of bad news. Both are
    found anywhere in a subject, and in a body where states are found.
    """

    def __init__(self, over: Sequence[str] = (), firing: Sequence[str] = ()) -> None:
        self._over = {_plain(word) for word in over or OVER}
        self._bad = {_plain(word) for word in (*BAD, *firing)}
        own = (*over, *firing)
        known = _any(*OVER, *SEEN, *BAD, *LABELS, *SEVERITIES, *own, pattern=RANK)
        word = rf"(?<![\w-]){known}(?![\w-])"
        filler = rf"\b{_any(*FILLERS)}\b"
        arrow = r"\s*(?:->|=>|→)\s*"
        phrase = rf"(?:{filler}\s+)*{word}(?:\s+(?:{word}|{filler}))*"
        self._word = _compiled(word)
        self._own = _compiled(rf"(?<!\w){_any(*own)}(?!\w)") if own else None
        self._whole = _compiled(rf"\W*(?P<said>{phrase})\W*")
        self._places = (
            _compiled(
                rf"[\[(][^\w\])]*(?P<said>{phrase}(?:\s*[:,]\s*(?:\d+|{word}))*)(?:\s+(?:on|in)\s[^\])]*)?\W*[\])]"
            ),
            _compiled(
                rf"^(?P<kept>\W*(?:[\[(][^\])]*[\])]\W*){{0,3}})(?P<said>{phrase})"
                r"(?:\s+(?:in|after|for)\s[^:]{1,40})?\s*(?::(?![\d/])|\||[-–—](?=\s))"
            ),
            re.compile(rf"^(?P<kept>\W*)(?P<said>{_any(*(word.upper() for word in SHOUTED))})(?=\s)"),
            _compiled(rf"{word}{arrow}(?P<said>{word})"),
            _compiled(
                rf"\b(?:is|are|status|state)[:\s]+(?:(?:now|back)\s+)?(?P<said>{word})"
                r"(?=\s*(?:[^\w\s]|$|(?:in|on|for|at|since|after)\b))"
            ),
            _compiled(rf"(?:\s[-–—|]|:)\s*(?P<said>{word})\W*$"),
        )
        label = r"(?:status|state)(?:\s+change)?|(?:notification|event)\s+type"
        self._state_line = _compiled(
            rf"^\W*(?!previous|old|last|former)(?:\w+\s){{0,2}}(?:{label})(?:\s+at\s+[\d.:/ -]{{1,25}}(?:\([^)]*\))?)?\s*[:=]\W*"
            rf"(?:{word}{arrow})?(?P<said>{word})"
        )
        self._severity_line = _compiled(
            rf"^\W*(?:severity|priority|urgency)\s*[:=]\W*(?P<said>{_any(*SEVERITIES, 'crit', pattern=RANK)})\b"
        )

    def in_subject(self, subject: str) -> Subject:
        """What a subject says; in a very long one, states are looked for at its beginning."""
        subject = without_reply(subject)
        rest, more, said = subject[:LONGEST_SUBJECT], subject[LONGEST_SUBJECT:], list[str]()

        def take(found: "re.Match[str]") -> str:
            said.extend(_plain(word) for word in self._word.findall(found["said"]))
            return found.groupdict().get("kept") or " "

        own = [_plain(found) for found in self._own.findall(rest)] if self._own else []
        rest = self._own.sub(" ", rest) if self._own else rest
        if whole := self._whole.fullmatch(rest):
            take(whole)
            rest = self._word.sub(" ", rest)
        else:
            for place in self._places:
                rest = place.sub(take, rest)
        stem = " ".join((rest + more).split()).strip(EDGES)
        loud = [_plain(found) for found in LOUD.findall(subject)]
        return Subject(stem, self._status(own) or self._status(said), _worst(said) or _worst(loud))

    def in_body(self, text: str) -> tuple[EventStatus | None, Severity | None]:
        """What lines like “State: OK” and “Severity: high” at the beginning of a body say."""
        lines = [line[:200] for line in text.split("\n", MOST_LINES)[:MOST_LINES]]
        states = [_plain(found["said"]) for line in lines if (found := self._state_line.match(line))]
        ranks = [_plain(found["said"]) for line in lines if (found := self._severity_line.match(line))]
        return self._status(states), _worst(ranks)

    def _status(self, said: list[str]) -> EventStatus | None:
        if not self._bad.isdisjoint(said):
            return EventStatus.ACKNOWLEDGED if set(said) & set(SEEN) else EventStatus.FIRING
        if not self._over.isdisjoint(said):
            return EventStatus.RESOLVED
        return EventStatus.ACKNOWLEDGED if set(said) & set(SEEN) else None


def without_reply(subject: str) -> str:
    """A subject without the “Re:”, “Fwd:” and the like before it."""
    while found := REPLY.match(subject):
        subject = subject[found.end() :]
    return subject.strip()


def _worst(words: Iterable[str]) -> Severity | None:
    found = {severity for word in words if (severity := _severity(word))}
    return min(found, key=lambda severity: severity.rank, default=None)


def _severity(word: str) -> Severity | None:
    if re.fullmatch(RANK, word):
        return BY_RANK[int(word[-1])]
    return Severity.CRITICAL if word == "crit" else SEVERITIES.get(word)


def _plain(word: str) -> str:
    return " ".join(word.lower().split())


def _any(*words: str, pattern: str = "") -> str:
    """A pattern for any of the words, the longest first, with any white space between the parts of one."""
    longest_first = sorted({" ".join(word.split()) for word in words if word.strip()}, key=len, reverse=True)
    parts = [r"\s+".join(map(re.escape, word.split())) for word in longest_first]
    return f"(?:{'|'.join([*parts, pattern] if pattern else parts)})"


def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.IGNORECASE)
