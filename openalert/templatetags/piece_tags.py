"""The small pieces that a list has hundreds of, made without templates; _severity.html and its like include them."""

from datetime import datetime
from functools import lru_cache

from django import template
from django.template.defaultfilters import capfirst, date
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import template_localtime

from .icon_tags import icon

register = template.Library()


@register.simple_tag
def severity_badge(severity: str) -> SafeString:
    return _severity_badge(str(severity))


@lru_cache(maxsize=100)
def _severity_badge(severity: str) -> SafeString:
    return format_html(
        '<span class="badge" data-severity="{}">{}{}</span>',
        severity,
        icon(f"severity-{severity}"),
        capfirst(severity),
    )


@register.simple_tag
def status_pill(status: str, until: datetime | None = None) -> SafeString:
    """`until`: when a snooze ends."""
    status = str(status)
    return format_html(
        '<span class="pill" data-status="{}">{}{}{}</span>',
        status,
        icon(f"status-{status}"),
        capfirst(status),
        format_html(" until {}", _time(until, "data-local", "j M, H:i")) if until else "",
    )


@register.simple_tag
def time_ago(at: datetime | None) -> SafeString:
    """An instant, which the page shows as “3 min ago”."""
    return _time(at, "data-relative", "j M Y, H:i T")


def _time(at: datetime | None, how: str, words: str) -> SafeString:
    local = template_localtime(at)
    return format_html('<time datetime="{}" {}>{}</time>', date(local, "c"), how, date(local, words))
