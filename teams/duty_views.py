"""Pages about shifts: a schedule as a calendar, one's own shifts, swaps, hand-over notes, calendar feeds."""

from datetime import date, timedelta
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError, PermissionMissing

from . import feeds, hand_overs, roster, swaps
from .access import require_respond
from .instants import asked_instant
from .models import CalendarFeed, HandOverNote, Schedule, ShiftSwap
from .queries import with_rotation
from .schedule_forms import NoteForm, SwapForm
from .schedule_views import SCHEDULE_CHANGED
from .timeline import VIEWS, midnight, span_of, timeline

OWN_AHEAD = timedelta(days=60)
MY_SHIFTS = "my-shifts"
ANSWERS = {
    "accept": (swaps.accept, "The shift is yours now"),
    "decline": (swaps.decline, "You have declined"),
    "withdraw": (swaps.withdraw, "The request is withdrawn"),
}
EARLIEST, LATEST = date(2000, 1, 1), date(2099, 12, 1)


@login_required
@require_GET
def calendar_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A week or a month of a schedule, on the viewer's clock; `date` is any day of it."""
    view = request.GET.get("view") if request.GET.get("view") in VIEWS else "week"
    now = timezone.now()
    zone = request.user.tzinfo
    try:
        day = parse_date(request.GET.get("date", ""))
    except ValueError:
        day = None
    first, last = span_of(view, min(max(day or now.astimezone(zone).date(), EARLIEST), LATEST))
    start, end = midnight(first, zone), midnight(last, zone)
    schedules = with_rotation(Schedule.objects.visible_to(request.user), start=start, end=end)
    schedule = get_object_or_404(schedules, pk=pk)
    shown = timeline(schedule, view=view, first=first, last=last, zone=zone, now=now)
    return render(request, "teams/calendar.html", {"schedule": schedule, "timeline": shown, "now": now})


@login_required
@require_GET
def my_shifts(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    feed = CalendarFeed.objects.filter(user=request.user).select_related("schedule")
    asked = ShiftSwap.objects.filter(asker=request.user, starts_at__gt=now).select_related(
        "schedule", "asked", "answered_by"
    )
    return render(
        request,
        "teams/my_shifts.html",
        {
            "now": now,
            "until": now + OWN_AHEAD,
            "shifts": roster.own_shifts(request.user, start=now, end=now + OWN_AHEAD),
            "to_answer": swaps.open_for(request.user),
            "asked": asked,
            "feeds": feed,
            "has_own_feed": any(one.schedule_id is None for one in feed),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def ask_swap(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET may name `starts_at` and `ends_at`."""
    schedule = get_object_or_404(Schedule.objects.visible_to(request.user).select_related("team"), pk=pk)
    to = reverse(MY_SHIFTS)
    try:
        require_respond(request.user, schedule.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    now = timezone.now()
    starts_at = max(asked_instant(request, "starts_at") or now, _next_minute(now))
    initial = {"starts_at": starts_at, "ends_at": asked_instant(request, "ends_at")}
    form = SwapForm(request.POST or None, schedule=schedule, asker=request.user, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            swap = swaps.ask(schedule=schedule, by=request.user, **form.cleaned_data)
        except OpenAlertError as failure:
            form.add_error(failure.field if failure.field in form.fields else None, failure.detail)
        else:
            messages.success(request, f"{swap.asked or 'The team'} is asked")
            return redirect(MY_SHIFTS)
    context = {"schedule": schedule, "form": form}
    return render(request, "teams/swap.html", context, status=422 if form.errors else 200)


def _next_minute(now):
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


@login_required
@require_POST
def answer_swap(request: HttpRequest, pk: UUID, answer: str) -> HttpResponse:
    visible = ShiftSwap.objects.filter(schedule__in=Schedule.objects.visible_to(request.user))
    swap = get_object_or_404(visible, pk=pk)
    act, words = ANSWERS[answer]
    to = reverse(MY_SHIFTS)
    try:
        act(swap_id=swap.pk, by=request.user)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    return done(request, words, to=to, changed=SCHEDULE_CHANGED)


@login_required
@require_http_methods(["GET", "POST"])
def write_note(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET gives the form, as a page or for a dialog."""
    schedule = get_object_or_404(Schedule.objects.visible_to(request.user).select_related("team"), pk=pk)
    to = reverse("schedule", args=[pk])
    form = NoteForm(request.POST or None)
    try:
        require_respond(request.user, schedule.team)
        if request.method == "POST" and form.is_valid():
            hand_overs.write_note(schedule=schedule, text=form.cleaned_data["text"], by=request.user)
            return done(request, "Your note is kept", to=to, changed=SCHEDULE_CHANGED)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    template = "teams/_note_add.html" if request.htmx else "teams/note_add.html"
    context = {"schedule": schedule, "form": form}
    return render(request, template, context, status=422 if form.errors else 200)


@login_required
@require_POST
def remove_note(request: HttpRequest, pk: UUID) -> HttpResponse:
    visible = HandOverNote.objects.filter(schedule__in=Schedule.objects.visible_to(request.user))
    note = get_object_or_404(visible.select_related("schedule__team"), pk=pk)
    to = reverse("schedule", args=[note.schedule_id])
    try:
        hand_overs.remove_note(note=note, by=request.user)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    return done(request, "The note is removed", to=to, changed=SCHEDULE_CHANGED)


@login_required
@require_POST
@never_cache
def open_feed(request: HttpRequest) -> HttpResponse:
    """Makes the address and shows it, once. Without a `schedule`: of one's own shifts."""
    schedule = None
    if request.POST.get("schedule"):
        try:
            wanted = UUID(request.POST["schedule"])
        except ValueError:
            raise Http404 from None
        schedule = get_object_or_404(Schedule.objects.visible_to(request.user), pk=wanted)
    _, token = feeds.open_feed(user=request.user, schedule=schedule)
    return render(request, "teams/feed.html", {"schedule": schedule, "address": feeds.address(token)})


@login_required
@require_POST
def revoke_feed(request: HttpRequest, pk: UUID) -> HttpResponse:
    feeds.revoke(feed=get_object_or_404(CalendarFeed, pk=pk, user=request.user))
    return done(request, "The address is void", to=reverse(MY_SHIFTS), changed=SCHEDULE_CHANGED)


@require_safe
def calendar_feed(request: HttpRequest, token: str) -> HttpResponse:
    """For calendar programs, which do not sign in: the address is the secret."""
    feed = feeds.feed_for(token)
    if feed is None:
        raise Http404
    response = HttpResponse(
        feeds.render(feed, at=timezone.now()), content_type="text/calendar; charset=utf-8"
    )
    response["Content-Disposition"] = 'inline; filename="on-call.ics"'
    response["Cache-Control"] = "private, max-age=300"
    response["X-Robots-Tag"] = "noindex"
    return response
