"""Pages about what teams own: a service, who is on call, a schedule; and about oneself."""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError, PermissionMissing

from . import coverage, hand_overs, overrides
from .access import can_manage, can_respond, require_respond, teams_to_manage
from .forms import OverrideForm, ProfileForm
from .instants import asked_instant
from .models import HandOverNote, Override, Schedule, Service, Team, User
from .queries import responders_of, with_rotation
from .roster import Duty, duty, layer_in_words, windows_in_words
from .schedule_views import SCHEDULE_CHANGED
from .sign_in_forms import PasswordForm

USUAL_OVERRIDE = timedelta(hours=8)


@login_required
@require_GET
def service_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A service. What incidents, alerts and escalations know of it comes as fragments of theirs."""
    service = get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)
    context = {
        "service": service,
        "may_respond": can_respond(request.user, service.team),
        "may_manage": can_manage(request.user, service.team),
    }
    return render(request, "teams/service.html", context)


class Board(NamedTuple):
    """A team on the page of who is on call."""

    team: Team
    duties: list[tuple[Duty, HandOverNote | None]]
    findings: list[coverage.Finding]


@login_required
@require_GET
def on_call_page(request: HttpRequest) -> HttpResponse:
    """Who is on call now, in every schedule of the person's teams, and the person's own shifts."""
    now = timezone.now()
    teams = list(Team.objects.visible_to(request.user))
    schedules = coverage.load(Schedule.objects.filter(team__in=teams), now)
    findings = coverage.check(teams, schedules, at=now)
    notes = hand_overs.last_notes(schedules, at=now)
    board = {team.pk: Board(team, [], []) for team in teams}
    mine = []
    for schedule in schedules:
        row = duty(schedule, at=now)
        board[schedule.team_id].duties.append((row, notes.get(schedule.pk)))
        if own := row.shift_of(request.user):
            mine.append((row, own))
    for finding in findings:
        board[finding.team.pk].findings.append(finding)
    mine.sort(key=lambda found: found[1].starts_at)
    managed = set(teams_to_manage(request.user).values_list("pk", flat=True))
    context = {"teams": board.values(), "mine": mine, "now": now, "managed": managed}
    return render(request, "teams/on_call.html", context)


@login_required
@require_GET
def schedule_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    schedule = get_object_or_404(with_rotation(Schedule.objects.visible_to(request.user)), pk=pk)
    now = timezone.now()
    layers = [layer for layer in reversed(schedule.rows.layers) if layer.replaced_at is None]
    to_come = [override for override in schedule.rows.overrides if override.ends_at > now]
    return render(
        request,
        "teams/schedule.html",
        {
            "schedule": schedule,
            "duty": duty(schedule, at=now),
            "now": now,
            "layers": [(layer, layer_in_words(layer), windows_in_words(layer)) for layer in layers],
            "overrides": sorted(to_come, key=lambda override: override.starts_at),
            "may_respond": can_respond(request.user, schedule.team),
            "may_be_on_call": responders_of(schedule.team).filter(pk=request.user.pk).exists(),
            "may_manage": can_manage(request.user, schedule.team),
            "findings": coverage.check_schedule(schedule, at=now),
            "note": hand_overs.last_note(schedule.pk, at=now),
            "is_same_zone": schedule.time_zone == request.user.time_zone,
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def add_override(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET gives the form, as a page or for a dialog, and may name `starts_at` and `ends_at`; POST adds it."""
    schedule = get_object_or_404(Schedule.objects.visible_to(request.user).select_related("team"), pk=pk)
    to = reverse("schedule", args=[pk])
    try:
        require_respond(request.user, schedule.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    if request.method == "GET":
        form = OverrideForm(schedule=schedule, asker=request.user, initial=_asked_for(request))
        return _override_form(request, schedule, form)
    form = OverrideForm(request.POST, schedule=schedule, asker=request.user)
    if form.is_valid():
        try:
            override = overrides.add_override(schedule=schedule, by=request.user, **form.cleaned_data)
        except OpenAlertError as failure:
            form.add_error(failure.field, failure.detail)
        else:
            title = f"{override.user} takes this shift of {schedule}"
            return done(request, title, to=to, changed=SCHEDULE_CHANGED)
    return _override_form(request, schedule, form)


def _asked_for(request: HttpRequest) -> dict[str, Any]:
    """What the form begins with: the person who asks, from the instants that the address names."""
    starts_at = asked_instant(request, "starts_at") or timezone.now()
    ends_at = asked_instant(request, "ends_at") or starts_at + USUAL_OVERRIDE
    return {"user": request.user.pk, "starts_at": starts_at, "ends_at": ends_at}


def _override_form(request: HttpRequest, schedule: Schedule, form: OverrideForm) -> HttpResponse:
    template = "teams/_override_add.html" if request.htmx else "teams/override_add.html"
    context = {"schedule": schedule, "form": form}
    return render(request, template, context, status=422 if form.errors else 200)


@login_required
@require_POST
def remove_override(request: HttpRequest, pk: UUID) -> HttpResponse:
    visible = Override.objects.filter(schedule__in=Schedule.objects.visible_to(request.user))
    override = get_object_or_404(visible.select_related("schedule__team", "user"), pk=pk)
    to = reverse("schedule", args=[override.schedule_id])
    try:
        require_respond(request.user, override.schedule.team)
        overrides.remove_override(override_id=override.pk)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    return done(request, f"{override.user}'s override is taken back", to=to, changed=SCHEDULE_CHANGED)


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    # A row of its own: a faulty form must not change the person whom the page around it shows.
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Your profile is saved")
        return redirect("me")
    return render(request, "teams/profile.html", {"form": form}, status=422 if form.errors else 200)


class PasswordView(auth_views.PasswordChangeView):
    """A new password: this browser stays signed in, everything else that the old one opened ends."""

    template_name = "teams/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("me")

    def get_form_kwargs(self) -> dict[str, Any]:
        # A row of its own: a faulty form must not change the person whom the page around it shows.
        user = User.objects.get(pk=self.request.user.pk)
        return {**super().get_form_kwargs(), "user": user, "request": self.request}

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(**context, has_password=self.request.user.has_usable_password())

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(
            self.request, "Your password is changed. Other browsers and programs are signed out."
        )
        return super().form_valid(form)
