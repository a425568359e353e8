"""How long a call takes, for the programs beside it."""

import math
import time
from collections.abc import Callable


def milliseconds(ask: Callable[[], object], times: int) -> list[float]:
    """Of so many calls, the fastest first. One more goes before them, to warm up."""
    ask()
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - started) * 1000)
    return sorted(spent)


def p95(spent: list[float]) -> float:
    """The 95th percentile by nearest rank: of fewer than 20 the slowest."""
    return spent[math.ceil(0.95 * len(spent)) - 1]
