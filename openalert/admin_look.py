"""How the admin looks: its name, its menu in the words of the product, its own style sheet. See docs/admin.md."""

from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

# By heading: what is listed, an icon's name in Material Symbols, and the model.
MENU = {
    "People": [
        ("People", "person", "teams.user"),
        ("Teams", "groups", "teams.team"),
        ("Memberships", "badge", "teams.membership"),
        ("Identities", "fingerprint", "teams.identity"),
        ("Group mappings", "account_tree", "teams.groupmapping"),
    ],
    "On call": [
        ("Schedules", "calendar_month", "teams.schedule"),
        ("Layers", "layers", "teams.layer"),
        ("Overrides", "swap_horiz", "teams.override"),
        ("Shift swaps", "sync_alt", "teams.shiftswap"),
        ("Hand-over notes", "note", "teams.handovernote"),
        ("Calendars", "event", "teams.calendar"),
        ("Calendar feeds", "rss_feed", "teams.calendarfeed"),
        ("Notices", "mail", "teams.notice"),
    ],
    "Escalation": [
        ("Escalation policies", "trending_up", "escalations.escalationpolicy"),
        ("Steps", "stairs", "escalations.escalationstep"),
        ("Routing rules", "alt_route", "escalations.routingrule"),
        ("Paging settings", "tune", "escalations.pagingsettings"),
        ("Runs", "play_circle", "escalations.escalationrun"),
    ],
    "Services and alerts": [
        ("Services", "dns", "teams.service"),
        ("Dependencies", "hub", "teams.servicedependency"),
        ("Integrations", "input", "alerts.integration"),
        ("Heartbeats", "monitor_heart", "alerts.heartbeat"),
        ("Maintenance windows", "construction", "alerts.maintenancewindow"),
        ("Alerts", "notification_important", "alerts.alert"),
        ("Changes", "published_with_changes", "alerts.change"),
    ],
    "Incidents": [
        ("Incidents", "emergency_home", "incidents.incident"),
        ("Timeline", "timeline", "incidents.timelineentry"),
        ("Response settings", "assignment", "incidents.responsesettings"),
        ("Reports", "monitoring", "incidents.reportschedule"),
        ("Stakeholders", "campaign", "incidents.stakeholder"),
    ],
    "Paging": [
        ("Contact methods", "contact_phone", "notifications.contactmethod"),
        ("Notification rules", "rule", "notifications.notificationrule"),
        ("Quiet hours", "bedtime", "notifications.quiethours"),
        ("Operations teams", "support_agent", "notifications.operationsteam"),
        ("Provider accounts", "cell_tower", "notifications.provideraccount"),
        ("Pages", "send", "notifications.notification"),
        ("Attempts", "history", "notifications.deliveryattempt"),
        ("Replies", "reply", "notifications.reply"),
        ("Mailbox", "inbox", "notifications.mailboxmessage"),
        ("Subscribers' mail", "forward_to_inbox", "notifications.subscribermail"),
        ("Webhooks", "webhook", "notifications.webhook"),
        ("Webhook deliveries", "outbound", "notifications.webhookdelivery"),
    ],
    "Machinery": [
        ("Periodic tasks", "schedule", "django_celery_beat.periodictask"),
        ("Cron times", "timer", "django_celery_beat.crontabschedule"),
        ("Intervals", "repeat", "django_celery_beat.intervalschedule"),
    ],
}


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """What the person may see of `MENU`, as Unfold's sidebar wants it."""
    from openalert import admin_roles  # settings import this module, before there are models

    return [
        {
            "title": heading,
            "collapsible": True,
            "items": [
                {
                    "title": title,
                    "icon": icon,
                    "link": reverse_lazy(f"admin:{label.replace('.', '_')}_changelist"),
                }
                for title, icon, label in rows
                if admin_roles.may(request.user, "view", apps.get_model(label))
            ],
        }
        for heading, rows in MENU.items()
    ]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "OpenAlert",
    "SITE_HEADER": "OpenAlert",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "notifications_active",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}
    ],
    # They are in the style sheet: Unfold would write them into a style element, which the content policy forbids.
    "COLORS": lambda request: {},
    "STYLES": [lambda request: static("css/admin.css")],
    "DASHBOARD_CALLBACK": "openalert.admin_desk.desk",
    "SIDEBAR": {"show_search": True, "navigation": "openalert.admin_look.menu"},
}
