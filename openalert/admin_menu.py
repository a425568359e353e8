"""The admin's menu: its lists under the headings of the product, each by the name that its own page has."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

# By heading: the models, and for each an icon's name in Material Symbols.
MENU = {
    "People": {
        "teams.user": "person",
        "teams.team": "groups",
        "teams.membership": "badge",
        "teams.identity": "fingerprint",
        "teams.groupmapping": "account_tree",
    },
    "On call": {
        "teams.schedule": "calendar_month",
        "teams.layer": "layers",
        "teams.override": "swap_horiz",
        "teams.shiftswap": "sync_alt",
        "teams.handovernote": "note",
        "teams.calendar": "event",
        "teams.calendarfeed": "rss_feed",
        "teams.notice": "mail",
    },
    "Escalation": {
        "escalations.escalationpolicy": "trending_up",
        "escalations.escalationstep": "stairs",
        "escalations.routingrule": "alt_route",
        "escalations.pagingsettings": "tune",
        "escalations.escalationrun": "play_circle",
    },
    "Services and alerts": {
        "teams.service": "dns",
        "teams.servicedependency": "hub",
        "alerts.integration": "input",
        "alerts.heartbeat": "monitor_heart",
        "alerts.maintenancewindow": "construction",
        "alerts.alert": "notification_important",
        "alerts.change": "published_with_changes",
    },
    "Incidents": {
        "incidents.incident": "emergency_home",
        "incidents.timelineentry": "timeline",
        "incidents.responsesettings": "assignment",
        "incidents.reportschedule": "monitoring",
        "incidents.stakeholder": "campaign",
    },
    "Paging": {
        "notifications.contactmethod": "contact_phone",
        "notifications.notificationrule": "rule",
        "notifications.quiethours": "bedtime",
        "notifications.operationsteam": "support_agent",
        "notifications.provideraccount": "cell_tower",
        "notifications.notification": "send",
        "notifications.deliveryattempt": "history",
        "notifications.reply": "reply",
        "notifications.mailboxmessage": "inbox",
        "notifications.subscribermail": "forward_to_inbox",
        "notifications.webhook": "webhook",
        "notifications.webhookdelivery": "outbound",
    },
    "Machinery": {
        "django_celery_beat.periodictask": "schedule",
        "django_celery_beat.crontabschedule": "timer",
        "django_celery_beat.intervalschedule": "repeat",
    },
}


def may_see(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether the person may open the model's list."""
    return admin.site.get_model_admin(model).has_view_permission(request)


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """What the person may see of `MENU`, as Unfold's sidebar wants it."""
    seen = {model._meta.label_lower: model for model in admin.site._registry if may_see(request, model)}
    groups = [
        {
            "title": heading,
            "collapsible": True,
            "items": [
                {
                    "title": capfirst(seen[label]._meta.verbose_name_plural),
                    "icon": icon,
                    "link": reverse(f"admin:{label.replace('.', '_')}_changelist"),
                }
                for label, icon in rows.items()
                if label in seen
            ],
        }
        for heading, rows in MENU.items()
    ]
    return [group for group in groups if group["items"]]
