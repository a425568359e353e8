from django.urls import include, path
from django.views.generic import RedirectView

from . import merge_views, triage_views, views
from .reports import views as report_views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="incidents")),
    path("incidents/", views.incident_list, name="incidents"),
    path("incidents/new/", views.open_incident, name="incident-new"),
    path("incidents/bulk/", triage_views.bulk, name="incidents-bulk"),
    path("incidents/bulk/merge/", triage_views.bulk_merge, name="incidents-bulk-merge"),
    path("incidents/filters/", triage_views.save_filter, name="filter-save"),
    path("incidents/filters/<uuid:pk>/remove/", triage_views.remove_filter, name="filter-remove"),
    path("incidents/<int:number>/", views.incident_page, name="incident"),
    path("incidents/<int:number>/header/", views.header, name="incident-header"),
    path("incidents/<int:number>/timeline/", views.timeline_entries, name="incident-timeline"),
    path("incidents/<int:number>/acknowledge/", views.acknowledge, name="incident-acknowledge"),
    path("incidents/<int:number>/unacknowledge/", views.unacknowledge, name="incident-unacknowledge"),
    path("incidents/<int:number>/resolve/", views.resolve, name="incident-resolve"),
    path("incidents/<int:number>/reopen/", views.reopen, name="incident-reopen"),
    path("incidents/<int:number>/merge/", merge_views.merge, name="incident-merge"),
    path("incidents/<int:number>/merged/", merge_views.merged, name="incident-merged"),
    path("incidents/<int:number>/similar/", views.similar_incidents, name="incident-similar"),
    path("incidents/<int:number>/snooze/", views.snooze, name="incident-snooze"),
    path("incidents/<int:number>/summary/", views.summary, name="incident-summary"),
    path("incidents/<int:number>/severity/", views.change_severity, name="incident-severity"),
    path("incidents/<int:number>/notes/", views.add_note, name="incident-note"),
    path("reports/", report_views.reports_page, name="reports"),
    path("reports/schedules/<uuid:pk>/send/", report_views.send_report, name="report-send"),
    path("reports/<slug:slug>/", report_views.report_section, name="report"),
    path("reports/<slug:slug>/<slug:name>.csv", report_views.report_csv, name="report-csv"),
    path("", include("incidents.service_fragments")),
]
