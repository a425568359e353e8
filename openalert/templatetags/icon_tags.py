"""Icons by name: a page of a list has hundreds, so each is made once."""

from functools import lru_cache

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """What _icon.html shows, without including it. `size` is sm or lg; `label` only when no words stand beside it."""
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
