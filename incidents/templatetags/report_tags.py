"""How a report's cells look on a page and in an email.

The many cells and marks of a page are written here: a template takes several times as long for them.
"""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from incidents.reports.blocks import Column, Link, Table
from incidents.reports.charts import Drawing
from openalert.templatetags.piece_tags import local_time

register = template.Library()


@register.simple_tag
def report_cell(value: object, site: str = "") -> object:
    """A cell for people; with `site`, links are whole addresses."""
    if isinstance(value, Link):
        return format_html('<a href="{}{}">{}</a>', site, value.href, value.text)
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "–" if value is None else str(value)


@register.simple_tag
def report_text(value: object) -> str:
    """A cell as plain text."""
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%-d %b, %H:%M}"
    return str(report_cell(str(value) if isinstance(value, Link) else value))


@register.simple_tag
def report_rows(table: Table) -> SafeString:
    """The body of a table on a page."""
    around = [_around(column, is_first=number == 0) for number, column in enumerate(table.columns)]
    rows = [
        "".join(
            f"{before}{conditional_escape(report_cell(cell))}{after}"
            for (before, after), cell in zip(around, row, strict=True)
        )
        for row in table.rows
    ]
    return mark_safe("".join(f"<tr>{row}</tr>" for row in rows))  # noqa: S308  # each cell is escaped above


def _around(column: Column, *, is_first: bool) -> tuple[str, str]:
    """The tags before and after each cell of a column."""
    if is_first:
        return format_html('<th scope="row" data-label="{}">', column.title), "</th>"
    form = '<td data-label="{}" class="num">' if column.is_number else '<td data-label="{}">'
    return format_html(form, column.title), "</td>"


@register.simple_tag
def chart_marks(drawing: Drawing) -> SafeString:
    """The bars, strokes and dots of a chart."""
    bars = format_html_join(
        "",
        '<rect class="chart-bar" data-tone="{}" x="{}%" width="{}%" y="{}" height="{}"><title>{}</title></rect>',
        ((bar.tone, bar.x, bar.width, bar.y, bar.height, bar.title) for bar in drawing.bars),
    )
    strokes = format_html_join(
        "",
        '<line class="chart-line" data-tone="{}" x1="{}%" x2="{}%" y1="{}" y2="{}"/>',
        ((stroke.tone, stroke.x1, stroke.x2, stroke.y1, stroke.y2) for stroke in drawing.strokes),
    )
    dots = format_html_join(
        "",
        '<circle class="chart-dot" data-tone="{}" cx="{}%" cy="{}" r="3.5"><title>{}</title></circle>',
        ((dot.tone, dot.x, dot.y, dot.title) for dot in drawing.dots),
    )
    return bars + strokes + dots
