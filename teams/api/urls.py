from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import duty_viewsets, token_viewsets, tokens, viewsets

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("users", viewsets.UserViewSet)
router.register("teams", viewsets.TeamViewSet)
router.register("memberships", viewsets.MembershipViewSet)
router.register("services", viewsets.ServiceViewSet)
router.register("service-dependencies", viewsets.ServiceDependencyViewSet)
router.register("schedules", viewsets.ScheduleViewSet)
router.register("schedule-overrides", viewsets.OverrideViewSet)
router.register("shift-swaps", duty_viewsets.ShiftSwapViewSet)
router.register("hand-over-notes", duty_viewsets.HandOverNoteViewSet)
router.register("calendar-feeds", duty_viewsets.CalendarFeedViewSet)
router.register("api-tokens", token_viewsets.ApiTokenViewSet)

urlpatterns = [
    path("auth/token", tokens.ObtainTokenView.as_view(), name="token"),
    path("auth/token/refresh", tokens.RefreshTokenView.as_view(), name="token-refresh"),
    path("auth/token/verify", tokens.VerifyTokenView.as_view(), name="token-verify"),
    path("auth/token/revoke", tokens.RevokeTokenView.as_view(), name="token-revoke"),
    path(
        "auth/sign-out-everywhere", token_viewsets.SignOutEverywhereView.as_view(), name="sign-out-everywhere"
    ),
    path("me", viewsets.MeView.as_view(), name="me"),
    path("me/shifts", duty_viewsets.OwnShiftsView.as_view(), name="me-shifts"),
    path("coverage", duty_viewsets.CoverageView.as_view(), name="coverage"),
    path("on-call", viewsets.OnCallView.as_view(), name="on-call"),
    path("", include(router.urls)),
]
