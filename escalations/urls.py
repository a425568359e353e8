from django.urls import include, path

from . import views

urlpatterns = [
    path("incidents/<int:number>/escalation/", views.incident_escalation, name="incident-escalation"),
    path("incidents/<int:number>/escalate/", views.escalate, name="incident-escalate"),
    path("incidents/<int:number>/reassign/", views.reassign, name="incident-reassign"),
    path("", include("escalations.service_fragments")),
    path("", include("escalations.service_pages")),
    path("", include("escalations.policy_views")),
    path("", include("escalations.rule_views")),
]
