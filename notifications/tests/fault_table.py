"""The table that the fault tests fill: fault × what the person got × lost × duplicated. pytest prints it at the end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`lost`: pages that reached nobody and are kept nowhere; `duplicated`: messages that came once more."""

    way: str
    fault: str
    got: str
    lost: int
    duplicated: int


TABLE: list[Row] = []


def lines() -> list[str]:
    if not TABLE:
        return []
    ways = max(len(row.way) for row in TABLE)
    faults = max(len(row.fault) for row in TABLE)
    head = f"{'way':<{ways}} | {'fault':<{faults}} | lost | twice | what the person got"
    return [
        head,
        *(
            f"{row.way:<{ways}} | {row.fault:<{faults}} | {row.lost:>4} | {row.duplicated:>5} | {row.got}"
            for row in TABLE
        ),
    ]
