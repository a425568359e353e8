"""The small pieces that a page has hundreds of: made without templates, and known in every template (`builtins`)."""

from datetime import datetime
from functools import lru_cache

from django import template
from django.template.defaultfilters import capfirst
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import template_localtime

from teams.models import User

register = template.Library()


@register.simple_tag
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """A symbol of static/img/icons.svg. `size` is sm or lg; `label` only when no words stand beside it."""
    return _icon(str(name), str(size or ""), str(label or ""))


@lru_cache(maxsize=1000)
def _icon(name: str, size: str, label: str) -> SafeString:
    return format_html(
        '<svg class="icon{}"{}><use href="{}#{}"/></svg>',
        f" icon-{size}" if size else "",
        format_html(' role="img" aria-label="{}"', label) if label else SafeString(' aria-hidden="true"'),
        static("img/icons.svg"),
        name,
    )


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
    ends = format_html(" until {}", local_time(until)) if until else ""
    return _status_pill(str(status), ends)


@lru_cache(maxsize=100)
def _status_pill(status: str, ends: str) -> SafeString:
    return format_html(
        '<span class="pill" data-status="{}">{}{}{}</span>',
        status,
        icon(f"status-{status}"),
        capfirst(status),
        ends,
    )


@register.simple_tag
def avatar(person: User, size: str = "") -> SafeString:
    """`size` is sm or lg; the person's name must stand beside it or in a label."""
    return format_html(
        '<span class="avatar{}" data-hue="{}" title="{}" aria-hidden="true">{}</span>',
        f" avatar-{size}" if size else "",
        str(person.pk)[-1],
        person,
        person.initials,
    )


@register.simple_tag
def time_ago(at: datetime | None) -> SafeString:
    """An instant, which the page shows as “3 min ago”."""
    return _time(at, "data-relative", "%-d %b %Y, %H:%M %Z")


@register.simple_tag
def local_time(at: datetime | None) -> SafeString:
    """An instant, which the page shows in the time zone of who looks."""
    return _time(at, "data-local", "%-d %b, %H:%M")


@register.simple_tag
def countdown(at: datetime | None, big: bool = False) -> SafeString:
    """An instant to come, which the page shows as “0:42”."""
    return _time(at, f'class="countdown{" countdown-big" if big else ""}" data-countdown', "%H:%M:%S %Z")


def _time(at: datetime | None, attributes: str, words: str) -> SafeString:
    if at is None:
        return SafeString()
    local = template_localtime(at)
    # Digits, and names of months and zones: nothing to escape.
    return mark_safe(f'<time datetime="{local.isoformat()}" {attributes}>{local:{words}}</time>')  # noqa: S308
