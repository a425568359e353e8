from django.contrib.auth import views as auth_views
from django.urls import path, reverse_lazy

from . import views

urlpatterns = [
    path("services/<uuid:pk>/", views.service_page, name="service"),
    path("on-call/", views.on_call_page, name="on-call"),
    path("schedules/<uuid:pk>/", views.schedule_page, name="schedule"),
    path(
        "accounts/password/",
        auth_views.PasswordChangeView.as_view(
            template_name="teams/password.html", success_url=reverse_lazy("me")
        ),
        name="password",
    ),
]
