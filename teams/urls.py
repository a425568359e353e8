from django.urls import path

from . import (
    dependency_views,
    duty_views,
    first_admin_views,
    schedule_views,
    second_factor_views,
    token_views,
    views,
)
from .identity import password_views
from .identity import views as identity_views

urlpatterns = [
    path("services/<uuid:pk>/", views.service_page, name="service"),
    path("services/<uuid:pk>/dependencies/", dependency_views.dependencies, name="dependencies"),
    path("services/<uuid:pk>/dependencies/new/", dependency_views.add, name="dependency-new"),
    path("services/dependencies/<uuid:pk>/", dependency_views.change, name="dependency"),
    path("services/dependencies/<uuid:pk>/remove/", dependency_views.remove, name="dependency-remove"),
    path("on-call/", views.on_call_page, name="on-call"),
    path("on-call/mine/", duty_views.my_shifts, name="my-shifts"),
    path("schedules/new/", schedule_views.new_schedule, name="schedule-new"),
    path("schedules/<uuid:pk>/edit/", schedule_views.edit_schedule, name="schedule-edit"),
    path("schedules/<uuid:pk>/calendar/", duty_views.calendar_page, name="schedule-calendar"),
    path("schedules/<uuid:pk>/layers/new/", schedule_views.new_layer, name="layer-new"),
    path("layers/<uuid:pk>/", schedule_views.edit_layer, name="layer"),
    path("layers/<uuid:pk>/remove/", schedule_views.remove_layer, name="layer-remove"),
    path("layers/<uuid:pk>/raise/", schedule_views.raise_layer, name="layer-raise"),
    path("schedules/<uuid:pk>/notes/", duty_views.write_note, name="note-new"),
    path("hand-over-notes/<uuid:pk>/remove/", duty_views.remove_note, name="note-remove"),
    path("schedules/<uuid:pk>/swaps/new/", duty_views.ask_swap, name="swap-new"),
    *(
        path(f"swaps/<uuid:pk>/{answer}/", duty_views.answer_swap, {"answer": answer}, name=f"swap-{answer}")
        for answer in duty_views.ANSWERS
    ),
    path("calendar-feeds/", duty_views.open_feed, name="feed-new"),
    path("calendar-feeds/<uuid:pk>/revoke/", duty_views.revoke_feed, name="feed-revoke"),
    path("calendar/<str:token>.ics", duty_views.calendar_feed, name="calendar-feed"),
    path("schedules/<uuid:pk>/", views.schedule_page, name="schedule"),
    path("schedules/<uuid:pk>/overrides/new/", views.add_override, name="override-new"),
    path("overrides/<uuid:pk>/remove/", views.remove_override, name="override-remove"),
    path("me/profile/", views.profile, name="profile"),
    path("me/tokens/", token_views.token_page, name="api-tokens"),
    path("me/tokens/<uuid:pk>/revoke/", token_views.revoke_token, name="api-token-revoke"),
    path("me/sign-out-everywhere/", token_views.sign_out_everywhere, name="sign-out-everywhere"),
    path("set-up/", first_admin_views.set_up, name="set-up"),
    path("accounts/oidc/", identity_views.BeginView.as_view(), name="oidc-begin"),
    path("accounts/oidc/callback/", identity_views.CallbackView.as_view(), name="oidc-callback"),
    path(
        "accounts/invitation/<str:uidb64>/<str:token>/",
        password_views.InvitationView.as_view(),
        name="invitation",
    ),
    path("accounts/password/", views.PasswordView.as_view(), name="password"),
    path("accounts/reset/", password_views.ResetView.as_view(), name="password-reset"),
    path("accounts/reset/sent/", password_views.ResetSentView.as_view(), name="password-reset-sent"),
    path("accounts/reset/done/", password_views.ResetDoneView.as_view(), name="password-reset-done"),
    path(
        "accounts/reset/<str:uidb64>/<str:token>/",
        password_views.ResetConfirmView.as_view(),
        name="password-reset-confirm",
    ),
    path("me/second-factor/", second_factor_views.second_factor_page, name="second-factor"),
    path("me/second-factor/begin/", second_factor_views.begin, name="second-factor-begin"),
    path("me/second-factor/confirm/", second_factor_views.confirm, name="second-factor-confirm"),
    path("me/second-factor/codes/", second_factor_views.renew_codes, name="second-factor-codes"),
    path("me/second-factor/off/", second_factor_views.turn_off, name="second-factor-off"),
]
