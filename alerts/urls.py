from django.urls import include, path

from . import views

urlpatterns = [
    path("incidents/<int:number>/alerts/", views.incident_alerts, name="incident-alerts"),
    path("", include("alerts.service_fragments")),
]
