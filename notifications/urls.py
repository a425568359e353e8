from django.urls import path

from . import fragments, views

urlpatterns = [
    path("incidents/<int:number>/pages/", fragments.incident_pages, name="incident-pages"),
    path("incidents/<int:number>/pages/", fragments.incident_pages, name="incident-pages"),
    path("me/", views.me, name="me"),
    path("me/pages/", views.my_pages, name="my-pages"),
    path("mailbox/", views.mailbox, name="mailbox"),
    path("mailbox/<uuid:pk>/", views.mailbox_message, name="mailbox-message"),
]
