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


def add(row: Row) -> None:
    """Raises AssertionError when it says otherwise than another one about the same, or when a page is lost."""
    others = [known for known in TABLE if (known.way, known.fault) == (row.way, row.fault)]
    assert all(known == row for known in others), f"{row} disagrees with {others}"
    if not others:
        TABLE.append(row)
    assert row.lost == 0, f"lost: {row}"


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
        f"{len(TABLE)} faults: {sum(row.lost for row in TABLE)} lost, {sum(row.duplicated for row in TABLE)} twice",
    ]
