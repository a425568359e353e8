"""How the admin looks: Unfold's settings. Its colours are in static/css/admin.css. See docs/admin.md."""

from typing import Any

from django.templatetags.static import static

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "OpenAlert",
    "SITE_HEADER": "OpenAlert",
    "SITE_SUBHEADER": "Administration",
    "SITE_ICON": lambda request: static("img/favicon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}
    ],
    # They are in the style sheet: Unfold would write them into a style element, which the content policy forbids.
    "COLORS": lambda request: {},
    "STYLES": [lambda request: static("css/admin.css")],
    "SCRIPTS": [lambda request: static("js/admin.js")],
    "DASHBOARD_CALLBACK": "openalert.admin_desk.desk",
    "SIDEBAR": {"navigation": "openalert.admin_menu.menu"},
}
