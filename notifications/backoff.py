"""When to try again."""

import random
from datetime import timedelta

MAX_ATTEMPTS = 5
BASE_SECONDS = 1.0
CAP_SECONDS = 300.0


def delay_after(attempt: int) -> timedelta:
    """How long to wait after failed attempt `attempt` (1 is the first): 1 s, 2 s, 4 s, …, each ± half.

    The jitter keeps what failed together from coming back together.
    """
    seconds = min(BASE_SECONDS * 2 ** (attempt - 1), CAP_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.5, 1.5))  # noqa: S311
