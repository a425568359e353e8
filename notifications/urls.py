from django.urls import path

from . import views

urlpatterns = [
    path("me/", views.me, name="me"),
    path("me/pages/", views.my_pages, name="my-pages"),
    path("mailbox/", views.mailbox, name="mailbox"),
    path("mailbox/<uuid:pk>/", views.mailbox_message, name="mailbox-message"),
]
