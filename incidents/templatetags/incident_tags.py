"""Filters of the pages of incidents."""

from django import template
from django.utils.safestring import SafeString

from incidents import markdown

register = template.Library()


@register.filter
def as_markdown(text: str) -> SafeString:
    return markdown.as_html(text)
