"""Pages on which managers make schedules and their layers."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError

from . import coverage, rotations
from .access import can_manage, require_manage, teams_to_manage
from .models import Layer, Schedule
from .queries import with_rotation
from .schedule_forms import EditScheduleForm, LayerForms, NewScheduleForm

MOST_SAID = 3
SCHEDULE_CHANGED = "schedule-changed"  # the regions that show a schedule listen for it


@login_required
@require_http_methods(["GET", "POST"])
def new_schedule(request: HttpRequest) -> HttpResponse:
    teams = teams_to_manage(request.user)
    if not teams.exists():
        raise PermissionDenied("Only managers of a team may make schedules.")
    initial = {"team": request.GET.get("team"), "time_zone": request.user.time_zone}
    form = NewScheduleForm(request.POST or None, teams=teams, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            schedule = rotations.create_schedule(**form.cleaned_data)
        except ValidationError as failure:
            _add_errors(form, failure)
        else:
            messages.success(request, f"{schedule} is made. Now say who takes turns.")
            return redirect("layer-new", schedule.pk)
    context = {"form": form, "title": "New schedule", "back": reverse("on-call"), "submit": "Make it"}
    return render(request, "teams/schedule_form.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def edit_schedule(request: HttpRequest, pk: UUID) -> HttpResponse:
    schedule = _managed(request, pk)
    names = ("name", "description", "time_zone")
    initial = {**{name: getattr(schedule, name) for name in names}, "fallback": schedule.fallback}
    form = EditScheduleForm(request.POST or None, schedule=schedule, initial=initial)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            rotations.change_schedule(schedule_id=pk, **{name: values[name] for name in names})
            rotations.set_fallback(schedule_id=pk, user=values["fallback"])
        except ValidationError as failure:
            _add_errors(form, failure)
        except OpenAlertError as failure:
            form.add_error(failure.field, failure.detail)
        else:
            return _saved(request, schedule, f"{values['name']} is saved")
    context = {"form": form, "title": "Edit the schedule", "schedule": schedule, "submit": "Save"}
    context["back"] = reverse("schedule", args=[pk])
    return render(request, "teams/schedule_form.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def new_layer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A layer on top of the others."""
    return _layer_page(request, _managed(request, pk), None)


@login_required
@require_http_methods(["GET", "POST"])
def edit_layer(request: HttpRequest, pk: UUID) -> HttpResponse:
    layer = get_object_or_404(Layer.objects.select_related("calendar"), pk=pk, replaced_at=None)
    return _layer_page(request, _managed(request, layer.schedule_id), layer)


def _layer_page(request: HttpRequest, schedule: Schedule, layer: Layer | None) -> HttpResponse:
    now = timezone.now().replace(second=0, microsecond=0)
    given = LayerForms(request.POST or None, schedule=schedule, layer=layer, starts_at=now)
    is_faulty = False
    if request.method == "POST":
        is_faulty = not given.is_valid()
        if not is_faulty:
            try:
                saved = _save_layer(schedule, layer, given)
            except ValidationError as failure:
                given.add_errors(failure)
                is_faulty = True
            except OpenAlertError as failure:
                return refused(request, failure, to=reverse("schedule", args=[schedule.pk]))
            else:
                return _saved(request, schedule, f"{saved.name} is saved")
    context = {"schedule": schedule, "layer": layer, "forms": given}
    return render(request, "teams/layer.html", context, status=422 if is_faulty else 200)


def _save_layer(schedule: Schedule, layer: Layer | None, given: LayerForms) -> Layer:
    if layer is None:
        return rotations.add_layer(schedule_id=schedule.pk, **given.values)
    keep_turn = given.layer.cleaned_data["keep_turn"]
    return rotations.change_layer(layer_id=layer.pk, keep_turn=keep_turn, **given.values)


@login_required
@require_POST
def remove_layer(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _change(request, pk, lambda layer: rotations.remove_layer(layer_id=layer.pk), "{} is removed")


@login_required
@require_POST
def raise_layer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Let it win over one more."""
    return _change(request, pk, lambda layer: rotations.move_layer(layer_id=layer.pk, by=1), "{} is moved up")


def _change(request: HttpRequest, pk: UUID, change: Any, words: str) -> HttpResponse:
    visible = Layer.objects.filter(schedule__in=Schedule.objects.visible_to(request.user))
    layer = get_object_or_404(visible.select_related("schedule__team"), pk=pk)
    to = reverse("schedule", args=[layer.schedule_id])
    try:
        require_manage(request.user, layer.schedule.team)
        change(layer)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    return done(request, words.format(layer.name), to=to, changed=SCHEDULE_CHANGED)


def _managed(request: HttpRequest, pk: UUID) -> Schedule:
    schedule = get_object_or_404(with_rotation(Schedule.objects.visible_to(request.user)), pk=pk)
    if not can_manage(request.user, schedule.team):
        raise PermissionDenied(f"Only managers of {schedule.team} may do this.")
    return schedule


def _saved(request: HttpRequest, schedule: Schedule, title: str) -> HttpResponse:
    """Saved is saved; what will go wrong with it is said beside."""
    messages.success(request, title)
    found = coverage.check_schedule(schedule)
    if found:
        more = f" And {len(found) - MOST_SAID} more." if len(found) > MOST_SAID else ""
        messages.warning(request, " ".join(finding.detail for finding in found[:MOST_SAID]) + more)
    return redirect("schedule", schedule.pk)


def _add_errors(form: Any, failure: ValidationError) -> None:
    for field, words in failure.message_dict.items():
        if field == "__all__":
            form.add_error("name", "There is such a schedule already.")
        else:
            form.add_error(field if field in form.fields else None, words)
