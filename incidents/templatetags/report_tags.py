"""How a report's cells look on a page and in an email."""

from datetime import datetime

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.html import format_html

from incidents.reports.blocks import Link

register = template.Library()


@register.simple_tag
def report_cell(value: object, site: str = "") -> object:
    """A cell for people; with `site`, links are whole addresses."""
    if isinstance(value, Link):
        return format_html('<a href="{}{}">{}</a>', site, value.href, value.text)
    if isinstance(value, datetime):
        local = f"{timezone.localtime(value):%-d %b, %H:%M}"
        return format_html('<time datetime="{}" data-local>{}</time>', value.isoformat(), local)
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return intcomma(value)
    return "–" if value is None else str(value)


@register.simple_tag
def report_text(value: object) -> str:
    """A cell as plain text."""
    if isinstance(value, datetime):
        return f"{timezone.localtime(value):%-d %b, %H:%M}"
    return str(report_cell(str(value) if isinstance(value, Link) else value))
