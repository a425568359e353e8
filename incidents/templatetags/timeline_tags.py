"""Filters for the pages of incidents."""

from django import template

from incidents import timeline
from incidents.models import TimelineEntry

register = template.Library()


@register.filter
def sentence(entry: TimelineEntry) -> str:
    """The entry in words, as plain text."""
    return timeline.sentence(entry)
