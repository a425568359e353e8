"""Maintenance on pages: what runs, what is planned, what was; and a banner wherever it matters now."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_duration
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError, PermissionMissing
from teams.access import require_respond, teams_to_respond_for
from teams.models import Service, Team

from . import maintenance, maintenance_series
from .exceptions import InvalidSpan
from .maintenance_forms import NewMaintenanceForm, RepeatingForm, WindowForm
from .models import MaintenanceSeries, MaintenanceWindow

CHANGED = "maintenance-changed"  # regions of pages listen for it
MOST_PLANNED = 100
MOST_PAST = 30
LONGEST_EXTENSION = timedelta(hours=24)


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    windows = MaintenanceWindow.objects.visible_to(request.user).select_related(
        "team", "series", "created_by"
    )
    windows = windows.prefetch_related("services")
    series = MaintenanceSeries.objects.visible_to(request.user).select_related("team")
    mine = set(teams_to_respond_for(request.user).values_list("pk", flat=True))
    return render(
        request,
        "alerts/maintenance.html",
        {
            "now": now,
            "running": maintenance.running(request.user),
            "planned": windows.filter(starts_at__gt=now).order_by("starts_at", "pk")[:MOST_PLANNED],
            "series": series.prefetch_related("services").order_by("title"),
            "past": windows.filter(ends_at__lte=now).order_by("-ends_at", "-pk")[:MOST_PAST],
            "mine": mine,
        },
    )


@login_required
@require_GET
def banner(request: HttpRequest) -> HttpResponse:
    """What runs now for the person's teams, or for the service that is asked for; nothing when nothing does."""
    service = None
    if asked := request.GET.get("service"):
        service = get_object_or_404(Service.objects.visible_to(request.user), pk=_uuid(asked))
    return render(
        request,
        "alerts/_maintenance_banner.html",
        {"windows": maintenance.running(request.user, service=service), "service": service},
    )


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    to = reverse("maintenance")
    if not teams_to_respond_for(request.user).exists():
        return refused(
            request, PermissionMissing("Only responders and managers of a team may do this."), to=to
        )
    initial = {}
    if asked := request.GET.get("service"):
        service = get_object_or_404(Service.objects.visible_to(request.user), pk=_uuid(asked))
        initial = {"services": [service.pk], "team": service.team_id}
    form = NewMaintenanceForm(request.POST or None, asker=request.user, initial=initial)

    def add(given: dict[str, Any]) -> str:
        repeats, until = given.pop("repeats"), given.pop("until")
        if repeats:
            zone = request.user.time_zone
            maintenance_series.add_series(
                **given, repeats=repeats, until=until, time_zone=zone, by=request.user
            )
        else:
            maintenance.add_window(**given, by=request.user)
        return "The maintenance is planned"

    return _answer(request, form, add, to=to, title="New maintenance", submit="Plan it")


@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pk: UUID) -> HttpResponse:
    window = _window(request, pk)
    to = reverse("maintenance")
    try:
        require_respond(request.user, window.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    initial = {
        "title": window.title,
        "services": window.services.all(),
        "conditions": "\n".join(window.conditions_in_words),
        "mode": window.mode,
        "starts_at": window.starts_at,
        "ends_at": window.ends_at,
    }
    form = WindowForm(request.POST or None, asker=request.user, team=window.team, initial=initial)

    def save(given: dict[str, Any]) -> str:
        maintenance.change_window(pk, **given)
        return "The maintenance window is saved"

    return _answer(request, form, save, to=to, title="Maintenance window", submit="Save", team=window.team)


@login_required
@require_POST
def extend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """By a `span`, like “00:30:00”."""
    window = _window(request, pk)
    to = reverse("maintenance")
    try:
        require_respond(request.user, window.team)
        span = _span(request.POST.get("span", ""))
        changed = maintenance.change_window(pk, ends_at=window.ends_at + span)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    until = timezone.localtime(changed.ends_at)
    return done(request, f"It lasts until {until:%H:%M} now", to=to, changed=CHANGED)


@login_required
@require_POST
def end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One that runs ends now; one that is planned does not come."""
    window = _window(request, pk)
    to = reverse("maintenance")
    try:
        require_respond(request.user, window.team)
        maintenance.cancel_window(pk)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    title = "Cancelled" if window.starts_at > timezone.now() else "Ended: what still fires pages now"
    return done(request, title, to=to, changed=CHANGED)


@login_required
@require_http_methods(["GET", "POST"])
def change_series(request: HttpRequest, pk: UUID) -> HttpResponse:
    series = _series(request, pk)
    to = reverse("maintenance")
    try:
        require_respond(request.user, series.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    initial = {
        "title": series.title,
        "services": series.services.all(),
        "conditions": "\n".join(series.conditions_in_words),
        "mode": series.mode,
        "starts_at": series.starts_at,
        "ends_at": series.ends_at,
        "repeats": series.repeats,
        "until": series.until,
    }
    form = RepeatingForm(request.POST or None, asker=request.user, team=series.team, initial=initial)

    def save(given: dict[str, Any]) -> str:
        maintenance_series.change_series(pk, **given, time_zone=series.time_zone)
        return "Saved; the windows to come are made anew"

    return _answer(
        request, form, save, to=to, title="Maintenance that repeats", submit="Save", team=series.team
    )


@login_required
@require_POST
def end_series(request: HttpRequest, pk: UUID) -> HttpResponse:
    series = _series(request, pk)
    to = reverse("maintenance")
    try:
        require_respond(request.user, series.team)
        maintenance_series.end_series(pk)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    return done(request, "It does not come again", to=to, changed=CHANGED)


def _answer(
    request: HttpRequest,
    form: Form,
    save: Callable[[dict[str, Any]], str],
    *,
    to: str,
    title: str,
    submit: str,
    team: Team | None = None,
) -> HttpResponse:
    """The form, as a page or for a dialog; what is filled in is saved."""
    if form.is_valid():
        given = form.cleaned_data
        try:
            if "team" in given:
                require_respond(request.user, given["team"])
            said = save(dict(given))
        except OpenAlertError as failure:
            form.add_error(failure.field if failure.field in form.fields else None, failure.detail)
        else:
            return done(request, said, to=to, changed=CHANGED)
    template = "alerts/_maintenance_form.html" if request.htmx else "alerts/maintenance_form.html"
    context = {"form": form, "title": title, "submit": submit, "team": team}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, template, context, status=status)


def _window(request: HttpRequest, pk: UUID) -> MaintenanceWindow:
    found = MaintenanceWindow.objects.visible_to(request.user).select_related("team")
    return get_object_or_404(found, pk=pk)


def _series(request: HttpRequest, pk: UUID) -> MaintenanceSeries:
    found = MaintenanceSeries.objects.visible_to(request.user).select_related("team")
    return get_object_or_404(found, pk=pk)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except (ValueError, OverflowError):
        span = None
    if not span or not timedelta(0) < span <= LONGEST_EXTENSION:
        raise InvalidSpan
    return span


urlpatterns = [
    path("maintenance/", overview, name="maintenance"),
    path("maintenance/now/", banner, name="maintenance-now"),
    path("maintenance/new/", new, name="maintenance-new"),
    path("maintenance/<uuid:pk>/", change, name="maintenance-window"),
    path("maintenance/<uuid:pk>/extend/", extend, name="maintenance-extend"),
    path("maintenance/<uuid:pk>/end/", end, name="maintenance-end"),
    path("maintenance/series/<uuid:pk>/", change_series, name="maintenance-series"),
    path("maintenance/series/<uuid:pk>/end/", end_series, name="maintenance-series-end"),
]
