"""What a report's section is made of. Every page, CSV file and email shows these; apps only fill them in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from openalert.words import delay_in_words, span_in_words

from .scope import Scope

AS_BEFORE, FROM_NOTHING = "as before", "up from 0"


@dataclass(frozen=True)
class Seconds:
    """A span; None when there is nothing to take a mean of. In CSV it stands in whole seconds."""

    value: float | None

    def __str__(self) -> str:
        return words_of(self.value)


@dataclass(frozen=True)
class Link:
    text: str
    href: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Column:
    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """`name` is that of its CSV file, unique in its section. `note` says what is counted.

    A cell is a str, int, float (told with one decimal), aware datetime, Seconds, Link or None.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    note: str = ""
    empty: str = "Nothing in this period."

    kind = "table"

    @property
    def cells(self) -> list[list[tuple[Column, object]]]:
        """Row by row, each cell with its column."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Series:
    """`tone` is one of the design system's; `values` has one for each category, None for a hole in a line."""

    name: str
    tone: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """Stacked columns or lines over `categories`, with the table behind them."""

    title: str
    form: str  # columns or lines
    categories: Sequence[str]
    series: Sequence[Series]
    table: Table
    is_seconds: bool = False
    note: str = ""

    kind = "chart"


@dataclass(frozen=True)
class Figure:
    """One number, and what it was in the span before. `less_is_better` None: neither is."""

    label: str
    value: float | None
    before: float | None = None
    is_seconds: bool = False
    is_share: bool = False
    less_is_better: bool | None = True
    note: str = ""

    @property
    def text(self) -> str:
        return self._text(self.value)

    @property
    def before_text(self) -> str:
        """Empty where `change` says it already."""
        return "" if self.change in ("", AS_BEFORE, FROM_NOTHING) else self._text(self.before)

    def _text(self, value: float | None) -> str:
        if value is None:
            return "–"
        if self.is_seconds:
            return words_of(value)
        return f"{value:.0%}" if self.is_share else f"{value:,.0f}"

    @property
    def change(self) -> str:
        """“+12 %”, “−5 points”, “as before”, “up from 0”; empty when there is nothing to compare with."""
        if self.value is None or self.before is None:
            return ""
        if self.is_share:
            points = round((self.value - self.before) * 100)
            return f"{points:+d} points".replace("-", "−") if points else AS_BEFORE
        if not self.before:
            return FROM_NOTHING if self.value else AS_BEFORE
        change = round((self.value / self.before - 1) * 100)
        return f"{change:+,d} %".replace("-", "−") if change else AS_BEFORE

    @property
    def tone(self) -> str:
        """success, danger or neutral."""
        if self.value is None or self.before is None or self.less_is_better is None:
            return "neutral"
        if self.change in ("", AS_BEFORE):
            return "neutral"
        return "success" if (self.value < self.before) == self.less_is_better else "danger"


@dataclass(frozen=True)
class Figures:
    figures: Sequence[Figure]
    kind = "figures"


Block = Table | Chart | Figures


@dataclass(frozen=True)
class Section:
    """A part of the page of reports, by the app that knows of it. `build` makes a fixed number of queries."""

    slug: str
    title: str
    place: int
    build: Callable[[Scope], Sequence[Block]]


def tables_of(blocks: Sequence[Block]) -> list[Table]:
    """All tables, also those behind charts, in their order."""
    return [
        block.table if isinstance(block, Chart) else block
        for block in blocks
        if not isinstance(block, Figures)
    ]


def words_of(seconds: float | None) -> str:
    """“42 s”, “3 min 5 s”, “2 h 10 min”, “3 days”: two units at most."""
    if seconds is None:
        return "–"
    span = timedelta(seconds=seconds)
    return delay_in_words(span) if seconds < 3600 else span_in_words(span)
