from django.urls import path

from . import dependency_views, views

urlpatterns = [
    path("services/<uuid:pk>/", views.service_page, name="service"),
    path("services/<uuid:pk>/dependencies/", dependency_views.dependencies, name="dependencies"),
    path("services/<uuid:pk>/dependencies/new/", dependency_views.add, name="dependency-new"),
    path("services/dependencies/<uuid:pk>/", dependency_views.change, name="dependency"),
    path("services/dependencies/<uuid:pk>/remove/", dependency_views.remove, name="dependency-remove"),
    path("on-call/", views.on_call_page, name="on-call"),
    path("schedules/<uuid:pk>/", views.schedule_page, name="schedule"),
    path("schedules/<uuid:pk>/overrides/new/", views.add_override, name="override-new"),
    path("overrides/<uuid:pk>/remove/", views.remove_override, name="override-remove"),
    path("me/profile/", views.profile, name="profile"),
    path("accounts/password/", views.PasswordView.as_view(), name="password"),
]
