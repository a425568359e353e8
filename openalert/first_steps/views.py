"""The guide's pages, for administrators of the installation. A form that is faulty keeps what was typed."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from alerts.integration_page import received_of
from alerts.set_up import set_up_text
from notifications.fragments import by_step
from notifications.models import Notification
from openalert.exceptions import OpenAlertError
from teams import invitations
from teams.access import may_administer
from teams.identity import provider
from teams.models import User
from teams.roster import duty

from . import trial
from .forms import (
    FirstIntegrationForm,
    PersonForm,
    PolicyForm,
    ScheduleForm,
    ServiceForm,
    TeamForm,
    is_simple_policy,
    simple_layer,
)
from .progress import NAMES, STEPS, Progress, Step, is_open_for

TWICE = "Somebody has just made the same. Open this step again."
View = Callable[..., HttpResponse]


def for_administrators(view: View) -> View:
    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **arguments: Any) -> HttpResponse:
        if not may_administer(request.user):
            raise PermissionDenied("Only administrators of the installation are led through the first steps.")
        return view(request, *args, **arguments)

    return guarded


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Where people are after signing in: at the incidents, or at the guide while an administrator needs it."""
    if not isinstance(request.user, User):
        return redirect("login")
    return redirect("first-steps" if is_open_for(request.user) else "incidents")


@for_administrators
@require_GET
def first_steps(request: HttpRequest) -> HttpResponse:
    """The guide, at the first step that is not done."""
    progress = Progress()
    return _page(request, progress, progress.current)


@for_administrators
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def step_page(request: HttpRequest, name: str) -> HttpResponse:
    """The guide at one step; POST does it, and goes on to the next."""
    step = next((step for step in STEPS if step.name == name), None)
    if step is None:
        raise Http404
    progress = Progress()
    if request.method == "GET" or not progress.may_do(step):
        return _page(request, progress, name, is_asked=True)
    if name == "test":
        return _send_test(request, progress)
    if name == "people" and "invite" in request.POST:
        return _invite_again(request, progress)
    form = _form(request, progress, step, request.POST)
    if form is None:
        return _page(request, progress, name, is_asked=True)
    if form.is_valid() and _written(form):
        if isinstance(form, FirstIntegrationForm):
            return _page(request, Progress(), name, key=form.key, is_asked=True)
        # Of people there are usually several.
        return redirect("first-step", name if name == "people" else _after(name))
    return _page(request, Progress(), name, form=form, is_asked=True)


@for_administrators
@never_cache
@require_GET
def test_state(request: HttpRequest) -> HttpResponse:
    """What has become of the test page so far."""
    context = {**_state_of_test(Progress()), "is_news": True}
    return render(request, "first_steps/_test_state.html", context)


@for_administrators
@require_POST
def put_away(request: HttpRequest) -> HttpResponse:
    """The guide is no longer what this person sees first, or is again with `back`."""
    is_back = "back" in request.POST
    User.objects.filter(pk=request.user.pk).update(first_steps_put_away=not is_back)
    if is_back:
        return redirect("first-steps")
    messages.success(request, "Put away. You find the first steps again in your menu.")
    return redirect("incidents")


def _after(name: str) -> str:
    return NAMES[min(NAMES.index(name) + 1, len(NAMES) - 1)]


def _written(form: Any) -> bool:
    """What the apps have against it becomes the form's errors."""
    try:
        with transaction.atomic():
            form.write()
    except ValidationError as failure:
        of_fields = failure.message_dict if hasattr(failure, "error_dict") else {"": failure.messages}
        for field, words in of_fields.items():
            # A constraint's words are for machines.
            form.add_error(field if field in form.fields else None, TWICE if field == "__all__" else words)
    except OpenAlertError as failure:
        form.add_error(failure.field if failure.field in form.fields else None, failure.detail)
    except IntegrityError:  # the same form twice at once
        form.add_error(None, TWICE)
    return not form.errors


def _form(request: HttpRequest, progress: Progress, step: Step, data: Any = None) -> forms.Form | None:
    """The step's form; None where there is nothing to be asked, or more there already than it could show."""
    match step.name:
        case "team":
            return TeamForm(data, progress=progress, user=request.user)  # type: ignore[return-value]
        case "people":
            name = settings.OIDC_NAME if provider.is_on() else ""
            return PersonForm(
                data, progress=progress, is_local=settings.OIDC_LOCAL_SIGN_IN, provider_name=name
            )
        case "schedule" if not progress.layers or simple_layer(progress):
            return ScheduleForm(data, progress=progress)
        case "policy" if progress.policy is None or is_simple_policy(progress.policy):
            return PolicyForm(data, progress=progress)
        case "service":
            return ServiceForm(data, progress=progress)  # type: ignore[return-value]
        case "integration" if progress.integration is None:
            return FirstIntegrationForm(data, progress=progress)  # type: ignore[return-value]
    return None


def _send_test(request: HttpRequest, progress: Progress) -> HttpResponse:
    assert isinstance(request.user, User)
    try:
        trial.send(progress, by=request.user, takes_over="takes_over" in request.POST)
    except OpenAlertError as failure:
        return _page(request, Progress(), "test", failure=failure.detail, is_asked=True)
    return redirect("first-step", "test")


def _invite_again(request: HttpRequest, progress: Progress) -> HttpResponse:
    """Of the team's people, whom the form names."""
    chosen = [member.user for member in progress.members if str(member.user_id) == request.POST["invite"]]
    if invitations.invite_again(chosen):
        messages.success(request, f"{chosen[0]} is mailed a link to choose a password.")
    else:
        messages.warning(request, "Nobody was invited: they have a password by now, or are not in the team.")
    return redirect("first-step", "people")


def _page(
    request: HttpRequest,
    progress: Progress,
    name: str,
    *,
    form: Any = None,
    key: str = "",
    failure: str = "",
    is_asked: bool = False,
) -> HttpResponse:
    assert isinstance(request.user, User)
    at = NAMES.index(name)
    step = STEPS[at]
    may_do = progress.may_do(step)
    is_faulty = bool(failure or form)
    if form is None and may_do:
        form = _form(request, progress, step)
    needs = next((other for other in STEPS if other.name == step.needs), None)
    context: dict[str, Any] = {
        "progress": progress,
        "steps": [(number, each, progress.done[each.name]) for number, each in enumerate(STEPS, 1)],
        "open": step,
        "after": STEPS[at + 1] if at + 1 < len(STEPS) else None,
        "template": f"first_steps/_{name}.html",
        "form": form,
        "may_do": may_do,
        "needs": needs,
        "key": key,
        "failure": failure,
        "is_asked": is_asked,
        "done_count": sum(progress.done.values()),
    }
    if may_do:
        context |= _context_of(request.user, progress, name, key)
    return render(request, "first_steps/page.html", context, status=422 if is_faulty else 200)


def _context_of(user: User, progress: Progress, name: str, key: str) -> dict[str, Any]:
    """What one step shows beside its form."""
    match name:
        case "schedule" if progress.schedule:
            return {"duty": duty(progress.schedule, at=timezone.now())}
        case "integration" if progress.integration:
            set_up = set_up_text(progress.integration, key) if key else set_up_text(progress.integration)
            return {"set_up": set_up, **received_of(progress.integration)}
        case "people":
            members = [member.user_id for member in progress.members]
            waiting = invitations.who_may_be_invited().filter(pk__in=members)
            return {"waiting": set(waiting.values_list("pk", flat=True))}
        case "test":
            first = trial.paged_first(progress)
            return {
                "first": first,
                "is_me": user in first,
                "may_take_over": trial.may_take_over(progress, user, first),
                **_state_of_test(progress),
            }
    return {}


def _state_of_test(progress: Progress) -> dict[str, Any]:
    """The last test page's incident and what was sent about it."""
    incident = progress.test
    pages = Notification.objects.filter(incident=incident).select_related("user").prefetch_related("attempts")
    return {
        "incident": incident,
        "paged": by_step(pages.order_by("-created_at", "-pk")) if incident else [],
        "progress": progress,
    }


urlpatterns = [
    path("", home, name="home"),
    path("first-steps/", first_steps, name="first-steps"),
    path("first-steps/put-away/", put_away, name="first-steps-put-away"),
    path("first-steps/test/state/", test_state, name="first-steps-test"),
    path("first-steps/<slug:name>/", step_page, name="first-step"),
]
