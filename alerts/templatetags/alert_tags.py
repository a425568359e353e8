"""What an incident's alerts have dozens of: a template takes several times as long for it."""

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from alerts.activity import Activity

register = template.Library()


@register.simple_tag
def activity_bars(activity: Activity) -> SafeString:
    """The bars of the small chart."""
    return format_html_join(
        "",
        '<rect x="{}%" width="{}%" y="{}" height="{}"><title>{} firing</title></rect>',
        (
            (
                bar.x,
                bar.width,
                bar.y,
                bar.height,
                f"{localtime(bar.starts_at):%-d %b, %H:%M:%S}: {bar.firing}",
            )
            for bar in activity.bars
        ),
    )
