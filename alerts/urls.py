from django.urls import include, path, re_path

from . import pagerduty_changes, sendgrid_inbound, split_views, views

urlpatterns = [
    # With a slash at the end or without: SendGrid follows no redirects.
    re_path(r"^integrations-inbound/sendgrid(?:/(?P<key>[^/]+))?/?$", sendgrid_inbound.inbound),
    path("v2/change/enqueue", pagerduty_changes.enqueue),
    path("incidents/<int:number>/alerts/", views.incident_alerts, name="incident-alerts"),
    path("incidents/<int:number>/related/", views.incident_related, name="incident-related"),
    path("incidents/<int:number>/split/", split_views.split, name="incident-split"),
    path("incidents/<int:number>/unmerge/", split_views.unmerge, name="incident-unmerge"),
    path("", include("alerts.change_fragments")),
    path("", include("alerts.service_fragments")),
    path("", include("alerts.service_state")),
    path("", include("alerts.integration_page")),
    path("", include("alerts.maintenance_calendar")),
    path("", include("alerts.maintenance_pages")),
    path("", include("alerts.heartbeat_door")),
    path("", include("alerts.heartbeat_pages")),
    path("", include("alerts.rule_pages")),
    path("", include("alerts.field_pages")),
]
