"""Where the marks of a chart stand: x in per cent of its width, y in pixels from its top. Templates draw them as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .blocks import Chart, words_of

HEIGHT = 160
MOST_LABELS = 8
SHORTEST_MARK = 2.0
# For times, on a logarithmic scale.
MARKS = [1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000]


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    y: float
    height: float
    tone: str
    title: str


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    tone: str
    title: str


@dataclass(frozen=True)
class Stroke:
    x1: float
    y1: float
    x2: float
    y2: float
    tone: str


@dataclass(frozen=True)
class Label:
    """`anchor` is SVG's; `is_minor` may be left out where there is little room."""

    at: float
    text: str
    anchor: str = "middle"
    is_minor: bool = False


@dataclass(frozen=True)
class Drawing:
    bars: Sequence[Bar]
    dots: Sequence[Dot]
    strokes: Sequence[Stroke]
    levels: Sequence[Label]
    labels: Sequence[Label]
    height: int = HEIGHT
    is_empty: bool = False


def draw(chart: Chart) -> Drawing:
    values = [value for series in chart.series for value in series.values if value is not None]
    if not any(values):
        return Drawing((), (), (), (), (), is_empty=True)
    if chart.form == "lines":
        return _lines(chart, [value for value in values if value > 0])
    return _columns(chart)


def _columns(chart: Chart) -> Drawing:
    count = len(chart.categories)
    totals = [sum(values) for values in zip(*(s.values for s in chart.series), strict=True)]
    levels = nice_levels(max(totals))
    top = levels[-1]
    slot = 100 / count
    bars = []
    for place, category in enumerate(chart.categories):
        y = float(HEIGHT)
        for series in chart.series:
            if value := series.values[place]:
                height = max(HEIGHT * value / top, SHORTEST_MARK)
                y -= height
                title = f"{category}: {value:,.0f}" + (
                    f" {series.name.lower()}" if len(chart.series) > 1 else ""
                )
                bars.append(
                    Bar(
                        round(slot * (place + 0.12), 3),
                        round(slot * 0.76, 3),
                        round(y, 1),
                        round(height, 1),
                        series.tone,
                        title,
                    )
                )
    return Drawing(
        bars,
        (),
        (),
        [Label(round(HEIGHT * (1 - level / top), 1), f"{level:,}") for level in levels],
        _labels(chart.categories),
    )


def _lines(chart: Chart, values: Sequence[float]) -> Drawing:
    low = max((mark for mark in MARKS if mark <= min(values)), default=MARKS[0])
    high = min((mark for mark in MARKS if mark >= max(values)), default=MARKS[-1])
    if low == high:
        high = next((mark for mark in MARKS if mark > low), low * 10)

    def y_of(value: float) -> float:
        share = (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))
        return round(HEIGHT * (1 - min(share, 1)), 1)

    slot = 100 / len(chart.categories)
    dots, strokes = [], []
    for series in chart.series:
        last: Dot | None = None
        for place, value in enumerate(series.values):
            if value is None:
                continue  # the line goes on over the hole
            title = f"{chart.categories[place]}: {series.name.lower()} {words_of(value)}"
            dot = Dot(round(slot * (place + 0.5), 3), y_of(value), series.tone, title)
            if last:
                strokes.append(Stroke(last.x, last.y, dot.x, dot.y, series.tone))
            dots.append(dot)
            last = dot
    levels = [Label(y_of(mark), words_of(mark)) for mark in MARKS if low <= mark <= high]
    return Drawing((), dots, strokes, levels, _labels(chart.categories))


def nice_levels(top: float) -> list[int]:
    """Round numbers from 0 up to one that is not below `top`: two to six of them."""
    step = 1
    for power in range(12):
        for factor in (1, 2, 5):
            step = factor * 10**power
            if step * 4 >= top:
                return [step * place for place in range(math.ceil(top / step) + 1)]
    return [0, step]


def _labels(categories: Sequence[str]) -> list[Label]:
    """Of at most MOST_LABELS columns, the same number apart."""
    step = math.ceil(len(categories) / MOST_LABELS)
    slot = 100 / len(categories)
    found = []
    for number, place in enumerate(range(0, len(categories), step)):
        anchor = "start" if place == 0 and len(categories) > 4 else "middle"
        at = 0.0 if anchor == "start" else slot * (place + 0.5)
        if at > 96:
            anchor, at = "end", 100.0
        found.append(Label(round(at, 2), categories[place], anchor, is_minor=number % 2 == 1))
    return found
