"""Heartbeats on pages: which programs are alive, how each is set up, and what it said last."""

from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError, PermissionMissing
from teams.access import can_manage, require_manage, teams_to_manage
from teams.models import Service

from . import heartbeat_mail, heartbeats, mail_intake
from .enums import PingKind
from .heartbeat_forms import HeartbeatForm, NewHeartbeatForm
from .models import Heartbeat

PINGS_SHOWN = 30
NAME_TAKEN = "Another heartbeat of the service has this name."
CURL = "curl -fsS -m 10 --retry 5"
CRON = '30 2 * * * m=$(/usr/local/bin/backup 2>&1); {curl} --data-raw "$m" {address}/$?'
SYSTEMD = """ExecStartPre=-{curl} {address}/start
ExecStopPost=-{curl} {address}/${{EXIT_STATUS}}"""


def state_of(heartbeat: Heartbeat) -> tuple[str, str]:
    """In a word, and the tone that it is shown in."""
    if not heartbeat.is_enabled:
        return "Paused", "muted"
    if heartbeat.expired_at:
        return "Down", "danger"
    if heartbeat.started_at:
        return "Running", "info"
    if heartbeat.last_ping_at is None:
        return "New", "muted"
    if heartbeat.due_at and heartbeat.due_at - heartbeat.grace < timezone.now():
        return "Late", "warning"
    return "Up", "success"


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    found = Heartbeat.objects.visible_to(request.user).select_related("integration__service__team")
    if asked := request.GET.get("service"):
        found = found.filter(integration__service=_service(request, asked))
    # What is down stands first, then by name.
    rows = [(heartbeat, *state_of(heartbeat)) for heartbeat in found.order_by("name")]
    rows.sort(key=lambda row: row[2] != "danger")
    return render(
        request,
        "alerts/heartbeats.html",
        {"rows": rows, "may_manage": teams_to_manage(request.user).exists()},
    )


@login_required
@require_GET
def heartbeat_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    heartbeat = _heartbeat(request, pk)
    word, tone = state_of(heartbeat)
    address = settings.SITE_URL + reverse("ping", args=[heartbeat.ping_key])
    return render(
        request,
        "alerts/heartbeat.html",
        {
            "heartbeat": heartbeat,
            "service": heartbeat.integration.service,
            "word": word,
            "tone": tone,
            "pings": heartbeat.pings.all()[:PINGS_SHOWN],
            "address": address,
            "mail_address": mail_intake.address_of(heartbeat_mail.mailbox_of(heartbeat)),
            "mail_words": [
                (kind.label, words)
                for kind, words in (
                    (PingKind.FAIL, heartbeat.fail_words),
                    (PingKind.SUCCESS, heartbeat.success_words),
                    (PingKind.START, heartbeat.start_words),
                )
                if words
            ],
            "for_cron": CRON.format(curl=CURL, address=address),
            "for_systemd": SYSTEMD.format(curl=CURL, address=address),
            "may_manage": can_manage(request.user, heartbeat.integration.service.team),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    to = reverse("heartbeats")
    if not teams_to_manage(request.user).exists():
        return refused(request, PermissionMissing("Only managers of a team may do this."), to=to)
    form = NewHeartbeatForm(
        request.POST or None, asker=request.user, initial={"service": request.GET.get("service")}
    )
    if form.is_valid():
        try:
            made = heartbeats.add(form.instance, service=form.cleaned_data["service"])
        except ValidationError:
            form.add_error("name", NAME_TAKEN)
        else:
            return redirect("heartbeat", made.pk)
    return _form(request, form, title="New heartbeat", submit="Add it", back=to)


@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pk: UUID) -> HttpResponse:
    heartbeat = _heartbeat(request, pk)
    to = reverse("heartbeat", args=[pk])
    try:
        require_manage(request.user, heartbeat.integration.service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    form = HeartbeatForm(request.POST or None, instance=heartbeat)
    if form.is_valid():
        try:
            heartbeats.configure(form.instance)
        except ValidationError:
            form.add_error("name", NAME_TAKEN)
        else:
            return redirect(to)
    return _form(request, form, title=heartbeat.name, submit="Save", back=to)


@login_required
@require_POST
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    heartbeat = _heartbeat(request, pk)
    to = reverse("heartbeats")
    try:
        require_manage(request.user, heartbeat.integration.service.team)
        heartbeats.delete(pk)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    except Heartbeat.DoesNotExist:
        pass  # somebody else did it
    return done(request, f"{heartbeat} is removed", to=to) if not request.htmx else _leave(to)


def _leave(to: str) -> HttpResponse:
    """What the page was about is gone."""
    return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": to})


def _form(request: HttpRequest, form: HeartbeatForm, *, title: str, submit: str, back: str) -> HttpResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    context = {"form": form, "title": title, "submit": submit, "back": back}
    return render(request, "alerts/heartbeat_form.html", context, status=status)


def _heartbeat(request: HttpRequest, pk: UUID) -> Heartbeat:
    found = Heartbeat.objects.visible_to(request.user).select_related("integration__service__team")
    return get_object_or_404(found, pk=pk)


def _service(request: HttpRequest, asked: str) -> Service:
    try:
        pk = UUID(asked)
    except ValueError:
        pk = None
    return get_object_or_404(Service.objects.visible_to(request.user), pk=pk)


urlpatterns = [
    path("heartbeats/", overview, name="heartbeats"),
    path("heartbeats/new/", new, name="heartbeat-new"),
    path("heartbeats/<uuid:pk>/", heartbeat_page, name="heartbeat"),
    path("heartbeats/<uuid:pk>/edit/", change, name="heartbeat-edit"),
    path("heartbeats/<uuid:pk>/remove/", remove, name="heartbeat-remove"),
]
