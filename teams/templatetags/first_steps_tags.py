"""Where the pages of an installation in which nothing is set up yet lead to."""

from typing import Any

from django import template
from django.urls import reverse

from teams.models import Service
from teams.standing import is_admin

register = template.Library()


@register.simple_tag
def first_steps_for(user: Any) -> str:
    """The address of the first steps, for an administrator while there is no service at all; else ""."""
    if not user.is_authenticated or not is_admin(user) or Service.objects.exists():
        return ""
    return reverse("first-steps")
