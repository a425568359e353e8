"""Status updates and those who get them: the panel on an incident's page, and what the links in mails lead to."""

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.exceptions import OpenAlertError
from teams.access import can_respond

from . import once, status_updates, subscriptions
from .actions import Question, act, ask, incident_for, incident_to_change, posted, refuse
from .enums import UpdateState
from .models import Incident, Subscription
from .response_forms import AddressForm, UpdateForm

MOST_SHOWN = 3


def updates_context(request: HttpRequest, incident: Incident, may_respond: bool) -> dict[str, Any]:
    """What `_updates.html` shows. Two queries."""
    found = list(subscriptions.subscriptions_of(incident))
    # Somebody may be subscribed twice: to the incident and to its service.
    readers = {one.user_id or one.stakeholder_id: one for one in found}
    mine = [one for one in found if one.user_id == request.user.pk]
    return {
        "incident": incident,
        "may_respond": may_respond,
        "updates": list(status_updates.updates_of(incident)[:MOST_SHOWN]),
        "reader_count": len(readers),
        "waiting_count": sum(
            1 for one in readers.values() if one.stakeholder and not one.stakeholder.confirmed_at
        ),
        "is_subscribed": any(one.incident_id for one in mine),
        "has_standing": any(one.service_id for one in mine),
    }


@login_required
@require_GET
def updates(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_for(request, number)
    may_respond = can_respond(request.user, incident.service.team)
    return render(request, "incidents/_updates.html", updates_context(request, incident, may_respond))


@login_required
@require_http_methods(["GET", "POST"])
def publish(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_to_change(request, number)
    last = status_updates.updates_of(incident).first()
    state = (
        UpdateState.RESOLVED if incident.is_resolved else last.state if last else UpdateState.INVESTIGATING
    )
    form = UpdateForm(posted(request), initial={"state": state})
    if not form.is_valid():
        count = len(subscriptions.recipients_of(incident))
        who = (
            "Nobody is subscribed yet: it is only kept here."
            if not count
            else f"It is mailed to {count} at once."
        )
        return ask(request, incident, Question(f"Status of #{number}", who, form, submit="Tell them"))
    given = form.cleaned_data
    return act(
        request,
        number,
        status_updates.publish,
        done="Status update sent",
        state=UpdateState(given["state"]),
        text=given["text"],
    )


@login_required
@require_POST
def subscribe_me(request: HttpRequest, number: int) -> HttpResponse:
    """`on` says whether; `service` says that it is about all incidents of the service. Whoever sees an incident may."""
    incident = incident_for(request, number)
    is_on = request.POST.get("on") == "1"
    to: dict[str, Any] = (
        {"service": incident.service} if request.POST.get("service") else {"incident": incident}
    )
    if is_on:
        subscriptions.subscribe_user(user=request.user, **to)
    else:
        subscriptions.unsubscribe_user(user=request.user, **to)
    if not request.htmx:
        return redirect(incident)
    may_respond = can_respond(request.user, incident.service.team)
    return render(request, "incidents/_updates.html", updates_context(request, incident, may_respond))


@login_required
@require_http_methods(["GET", "POST"])
def subscribers(request: HttpRequest, number: int) -> HttpResponse:
    """Who is told, for responders: to add somebody, and to take somebody away."""
    incident = incident_to_change(request, number)
    form = AddressForm(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        to: dict[str, Any] = {"service": incident.service} if given["service"] else {"incident": incident}
        add = partial(subscriptions.subscribe_address, address=given["address"], **to)
        try:
            once.do_once(request.user, once.key_of(request), add)
        except OpenAlertError as failure:
            if failure.field != "address":
                return refuse(request, incident, failure)
            form.add_error("address", failure.detail)
        else:
            if not request.htmx:
                return redirect("incident-subscribers", number)
            form = AddressForm()
    template = "incidents/_subscribers.html" if request.htmx else "incidents/subscribers.html"
    context = {
        "incident": incident,
        "form": form,
        "subscriptions": subscriptions.subscriptions_of(incident),
    }
    return render(request, template, context, status=422 if form.errors else 200)


@login_required
@require_POST
def remove_subscriber(request: HttpRequest, number: int, pk: UUID) -> HttpResponse:
    incident = incident_to_change(request, number)
    there = Subscription.objects.filter(pk=pk).first()
    if there and there.incident_id != incident.pk and there.service_id != incident.service_id:
        raise Http404
    subscriptions.remove(subscription_ids=[pk])
    if not request.htmx:
        return redirect("incident-subscribers", number)
    context = {
        "incident": incident,
        "form": AddressForm(),
        "subscriptions": subscriptions.subscriptions_of(incident),
    }
    return render(request, "incidents/_subscribers.html", context)


# What the links in mails lead to: nobody is signed in.


@never_cache
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """To open it changes nothing; its button says yes."""
    stakeholder = subscriptions.stakeholder_by(token)
    if stakeholder is None:
        return render(request, "incidents/subscription.html", {"what": "unknown"}, status=404)
    if request.method == "POST":
        subscriptions.confirm(stakeholder.pk)
    is_done = request.method == "POST" or stakeholder.confirmed_at
    context = {"what": "confirmed" if is_done else "confirm", "address": stakeholder.address}
    return render(request, "incidents/subscription.html", context)


# A mail program posts “List-Unsubscribe=One-Click” here by itself (RFC 8058), without a page and its token.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "POST"])
def end(request: HttpRequest, token: str) -> HttpResponse:
    """No more mails about an incident and its service, or with `everything` about anything."""
    ending = subscriptions.ending_by(token)
    if ending is None:
        return render(request, "incidents/subscription.html", {"what": "unknown"}, status=404)
    everything = bool(request.POST.get("everything"))
    if request.method == "POST":
        subscriptions.end(ending, everything=everything)
    what = ("ended-all" if everything else "ended") if request.method == "POST" else "end"
    context = {"what": what, "address": ending.user.email if ending.user else ending.stakeholder}
    return render(request, "incidents/subscription.html", context)
