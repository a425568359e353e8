"""The time zones of the IANA database."""

import zoneinfo
from functools import cache


@cache
def time_zones() -> dict[str, str]:
    """Their names in order, and how people read them. To find them the disk is searched: once a process."""
    return {name: name.replace("_", " ") for name in sorted(zoneinfo.available_timezones())}
