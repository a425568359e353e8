from django.urls import path

from . import views

urlpatterns = [
    path("incidents/<int:number>/alerts/", views.incident_alerts, name="incident-alerts"),
]
