"""Where intake listens.

POST /api/v1/alerts                   OpenAlert's own format
POST /v2/enqueue                      PagerDuty Events API v2: the key is in the body
POST /v2/alerts                       Opsgenie Alert API v2: “Authorization: GenieKey <key>”
/integrations/<source>/<key>[/<tail>] every other format
"""

from typing import NamedTuple

from .enums import Source

NATIVE_PATH = "/api/v1/alerts"
PREFIX = "/integrations/"
# Addresses that other systems' clients insist on.
FIXED = {
    ("POST", NATIVE_PATH): Source.OPENALERT,
    ("POST", "/v2/enqueue"): Source.PAGERDUTY,
    ("POST", "/v2/alerts"): Source.OPSGENIE,
}


class Address(NamedTuple):
    source: Source
    key: str = ""
    tail: str = ""


def is_intake(method: str, path: str) -> bool:
    """Whether a request is for intake; all others are Django's."""
    return path.startswith(PREFIX) or (method, path) in FIXED


def read_address(method: str, path: str) -> Address | None:
    """What an address of intake names; None when there is nothing at it."""
    fixed = FIXED.get((method, path))
    if fixed is not None:
        return Address(fixed)
    source, _, rest = path.removeprefix(PREFIX).strip("/").partition("/")
    key, _, tail = rest.partition("/")
    # What comes to a fixed address has no other one: its key would be looked for elsewhere.
    if not key or source not in Source.values or source in FIXED.values():
        return None
    return Address(Source(source), key, tail.strip("/"))
