"""For the navigation: whether there is a mailbox to show."""

from django import template

from notifications import mailbox

register = template.Library()


@register.simple_tag
def mailbox_is_in_use() -> bool:
    return mailbox.is_in_use()
