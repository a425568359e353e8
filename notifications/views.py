"""A person's own pages: how they are reached, and what reached them in the app."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from incidents.enums import Urgency
from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError

from . import contacts, outbox, queries, verification
from .enums import Channel
from .forms import CodeForm, ContactMethodForm, QuietHoursForm, RuleForm
from .models import ContactMethod, Notification, NotificationRule, QuietHours
from .transports import TRANSPORTS, web_push

REACH_CHANGED = "reach-changed"  # the region with methods and rules listens for it
SEEN = "pages-seen"  # the list and the number in the top bar listen for it
PAGE_SIZE = 50
MOST_UNREAD = 99


@login_required
@require_GET
def me(request: HttpRequest) -> HttpResponse:
    contacts.ensure_default_methods(request.user)
    return render_me(request)


def render_me(
    request: HttpRequest,
    *,
    method_form: ContactMethodForm | None = None,
    rule_form: RuleForm | None = None,
    quiet_form: QuietHoursForm | None = None,
    code_form: tuple[UUID, CodeForm] | None = None,
) -> HttpResponse:
    """The page; with a faulty form in it, htmx gets the region of methods and rules alone."""
    user, now = request.user, timezone.now()
    tests = queries.last_tests(user, now=now)
    waiting = queries.waiting_codes(user, now=now)
    methods = ContactMethod.objects.filter(user=user).order_by("created_at")
    context: dict[str, Any] = {
        "methods": [
            (
                method,
                tests.get(method.pk),
                None if method.is_verified else _code_form(request, method.pk, code_form),
                method.pk in waiting,
            )
            for method in methods
        ],
        "push_key": web_push.public_key() if TRANSPORTS[Channel.WEB_PUSH].is_configured() else "",
        "off": [
            (channel.label, transport.why_off())
            for channel, transport in TRANSPORTS.items()
            if transport.why_off()
        ],
        "off_channels": [channel for channel, transport in TRANSPORTS.items() if transport.why_off()],
        "reaches": [
            (reach, _rule_form(request, reach.urgency, rule_form)) for reach in queries.reach_of(user)
        ],
        "method_form": method_form or ContactMethodForm(user=user),
        "quiet_hours": QuietHours.objects.filter(user=user).prefetch_related("allowed_methods"),
        "quiet_form": quiet_form or QuietHoursForm(user=user),
        "memberships": user.memberships.select_related("team"),
    }
    is_faulty = method_form or rule_form or quiet_form or code_form
    template = "notifications/_reach.html" if is_faulty and request.htmx else "notifications/me.html"
    return render(request, template, context, status=422 if is_faulty else 200)


def _code_form(request: HttpRequest, pk: UUID, faulty: tuple[UUID, CodeForm] | None) -> CodeForm:
    return faulty[1] if faulty and faulty[0] == pk else CodeForm(auto_id=f"id_{pk}_%s")


def _rule_form(request: HttpRequest, urgency: Urgency, faulty: RuleForm | None) -> RuleForm:
    is_its = faulty is not None and faulty.data.get("urgency") == urgency
    return faulty if is_its and faulty else RuleForm(user=request.user, urgency=urgency)


@login_required
@require_POST
def add_method(request: HttpRequest) -> HttpResponse:
    form = ContactMethodForm(request.POST, user=request.user)
    if not form.is_valid():
        return render_me(request, method_form=form)
    method = form.instance
    contacts.add_method(method)
    if method.is_verified:
        return said_on_me(request, f"Added: {method}")
    try:
        verification.send_code(method.pk)
    except OpenAlertError as failure:
        return said_on_me(request, f"Added: {method}. {failure.detail}")
    return said_on_me(request, f"Added: {method}. Its code is on its way")


@login_required
@require_POST
def set_enabled(request: HttpRequest, pk: UUID) -> HttpResponse:
    method = _own_method(request, pk)
    is_enabled = request.POST.get("is_enabled") == "1"
    contacts.set_enabled(method=method, is_enabled=is_enabled)
    return said_on_me(request, f"Switched {'on' if is_enabled else 'off'}: {method}")


@login_required
@require_POST
def mend_method(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The owner says that a broken method works again."""
    method = _own_method(request, pk)
    contacts.mark_working(method)
    return said_on_me(request, f"Used again: {method}")


@login_required
@require_POST
def remove_method(request: HttpRequest, pk: UUID) -> HttpResponse:
    method = _own_method(request, pk)
    method.delete()
    return said_on_me(request, f"Removed: {method}")


@login_required
@require_http_methods(["GET", "POST"])
def test_method(request: HttpRequest, pk: UUID) -> HttpResponse:
    """POST sends a test page; GET is what became of the last one."""
    method = _own_method(request, pk)
    if request.method == "GET":
        test = queries.last_tests(request.user, now=timezone.now()).get(method.pk)
        return render(request, "notifications/_test.html", {"method": method, "test": test})
    try:
        outbox.send_test(user=request.user, contact_method=method)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("me"))
    return said_on_me(request, "A test page is on its way")


@login_required
@require_POST
def send_code(request: HttpRequest, pk: UUID) -> HttpResponse:
    method = _own_method(request, pk)
    try:
        verification.send_code(method.pk)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("me"))
    return said_on_me(request, "A code is on its way")


@login_required
@require_POST
def verify(request: HttpRequest, pk: UUID) -> HttpResponse:
    method = _own_method(request, pk)
    form = CodeForm(request.POST, auto_id=f"id_{pk}_%s")
    if form.is_valid():
        try:
            verification.verify(method.pk, form.cleaned_data["code"])
        except OpenAlertError as failure:
            form.add_error("code", failure.detail)
        else:
            return said_on_me(request, f"Pages reach you here now: {method}")
    return render_me(request, code_form=(pk, form))


@login_required
@require_POST
def add_rule(request: HttpRequest) -> HttpResponse:
    form = RuleForm(request.POST, user=request.user, urgency=request.POST.get("urgency", ""))
    if not form.is_valid():
        return render_me(request, rule_form=form)
    given = form.cleaned_data
    rule = contacts.set_rule(
        user=request.user,
        urgency=Urgency(given["urgency"]),
        method=given["contact_method"],
        delay_minutes=given["delay_minutes"],
    )
    return said_on_me(request, f"From now on: {rule}")


@login_required
@require_POST
def remove_rule(request: HttpRequest, pk: UUID) -> HttpResponse:
    rule = get_object_or_404(
        NotificationRule.objects.select_related("contact_method"), user=request.user, pk=pk
    )
    rule.delete()
    return said_on_me(request, f"No longer: {rule}")


def _own_method(request: HttpRequest, pk: UUID) -> ContactMethod:
    return get_object_or_404(ContactMethod, user=request.user, pk=pk)


def said_on_me(request: HttpRequest, title: str) -> HttpResponse:
    return done(request, title, to=reverse("me"), changed=REACH_CHANGED)


@login_required
@require_GET
def my_pages(request: HttpRequest) -> HttpResponse:
    """What reached the person in the app, newest first."""
    page = Paginator(queries.pages_in_app(request.user), PAGE_SIZE).get_page(request.GET.get("page"))
    unseen = queries.unseen_pages(request.user).count()
    return render(request, "notifications/my_pages.html", {"page": page, "unseen": unseen})


@login_required
@require_GET
def my_deliveries(request: HttpRequest) -> HttpResponse:
    """All that was sent to the person or is to be, by every method, with its attempts; newest first."""
    rows = (
        Notification.objects.filter(user=request.user)
        .select_related("incident__service", "contact_method")
        .prefetch_related("attempts")
        .order_by("-created_at", "-pk")
    )
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "notifications/my_deliveries.html", {"page": page})


@login_required
@require_POST
def mark_seen(request: HttpRequest) -> HttpResponse:
    """The pages named by `id` are seen; without any, all."""
    unseen = queries.unseen_pages(request.user)
    named = {value for value in request.POST.getlist("id") if value}
    ids = [pk for pk in unseen.values_list("pk", flat=True) if not named or str(pk) in named]
    count = outbox.mark_seen(user=request.user, notification_ids=ids)
    title = "1 page seen" if count == 1 else f"{count} pages seen"
    return done(request, title, to=reverse("my-pages"), changed=SEEN)


@login_required
@require_GET
def unread(request: HttpRequest) -> HttpResponse:
    """The bell in the top bar and how many pages the person has not seen."""
    count = queries.unseen_pages(request.user)[: MOST_UNREAD + 1].count()
    return render(request, "notifications/_unread.html", {"count": count, "most": MOST_UNREAD})


@require_GET
def service_worker(request: HttpRequest) -> HttpResponse:
    """The script that shows push messages. It stands at the root, for that is how far it reaches."""
    script = (settings.BASE_DIR / "static" / "js" / "service-worker.js").read_bytes()
    return HttpResponse(script, content_type="text/javascript", headers={"Cache-Control": "no-cache"})
