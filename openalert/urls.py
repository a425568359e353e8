"""Every address of ours. Alerts come in beside this, through openalert.asgi."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from openalert import app_shell, audit_pages, demo
from openalert.health import pages
from openalert.health import views as health
from teams.identity import password_views
from teams.identity import views as identity_views

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("manifest.webmanifest", app_shell.manifest, name="manifest"),
    path("offline/", app_shell.offline_page, name="offline"),
    path("queues/", pages.queue_page, name="queues"),
    path("queues/failures/forget/", pages.forget_failures, name="queues-forget"),
    path("queues/providers/<slug:name>/pause/", pages.pause_provider, name="provider-pause"),
    path("queues/providers/<slug:name>/resume/", pages.resume_provider, name="provider-resume"),
    path(
        "accounts/login/",
        password_views.SignInView.as_view(
            extra_context={"demo_sign_ins": demo.sign_ins_there if settings.EMBEDDED else []},
        ),
        name="login",
    ),
    path("accounts/login/code/", password_views.code_page, name="login-code"),
    path("accounts/login/set-up/", password_views.set_up_page, name="login-set-up"),
    path("accounts/logout/", identity_views.SignOutView.as_view(), name="logout"),
    path("audit/", audit_pages.audit_page, name="audit"),
    path("audit/export.csv", audit_pages.export_csv, name="audit-csv"),
    path("audit/export.jsonl", audit_pages.export_json_lines, name="audit-jsonl"),
    path("admin/login/", password_views.admin_sign_in),
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("", include("openalert.people_csv.pages")),
    path("admin/", admin.site.urls),
    path("", include("openalert.first_steps.views")),
    path("", include("openalert.api")),
    path("", include("incidents.urls")),
    path("", include("alerts.urls")),
    path("", include("notifications.urls")),
    path("", include("escalations.urls")),
    path("v2/", include("escalations.opsgenie.urls")),
    path("", include("teams.urls")),
]

handler400 = "openalert.error_shape.bad_request"
handler403 = "openalert.error_shape.permission_denied"
handler404 = "openalert.error_shape.page_not_found"
handler500 = "openalert.error_shape.server_error"
