"""The pages of splitting: choosing alerts, and taking an incident out of the one that it was merged into."""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from incidents import once
from incidents.actions import act, incident_to_change
from incidents.models import Incident
from incidents.timeline import Actor
from openalert.exceptions import OpenAlertError

from . import splitting
from .enums import AlertStatus
from .models import Alert

MOST_OFFERED = 200


class SplitForm(forms.Form):
    alert = forms.TypedMultipleChoiceField(
        coerce=UUID, error_messages={"required": "Choose some alerts first."}
    )
    title = forms.CharField(
        max_length=1024,
        required=False,
        label="Title of the new incident",
        help_text="Empty: the first alert’s.",
    )

    def __init__(self, data: Any, *, offered: list[Alert]) -> None:
        super().__init__(data)
        self.fields["alert"].choices = [(str(alert.pk), alert.title) for alert in offered]


@login_required
@require_http_methods(["GET", "POST"])
def split(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks which; afterwards the new incident is shown."""
    incident = incident_to_change(request, number)
    alerts = Alert.objects.filter(incident=incident).select_related("integration__service")
    offered: list[Alert] = []
    for status in (AlertStatus.FIRING, AlertStatus.RESOLVED):
        offered += alerts.filter(status=status).order_by("-pk")[: MOST_OFFERED - len(offered)]
    form = SplitForm(request.POST if request.method == "POST" else None, offered=offered)
    status = 200
    if form.is_valid():
        made: list[Incident] = []
        given = form.cleaned_data

        def action() -> None:
            actor = Actor.person(request.user, via="web")
            made.append(
                splitting.split(
                    incident_id=incident.pk, alert_ids=given["alert"], title=given["title"], actor=actor
                )
            )

        try:
            once.do_once(request.user, once.key_of(request), action)
        except OpenAlertError as failure:
            form.add_error(None, failure.detail)
            status = failure.status
        else:
            if made:
                messages.success(request, f"Split off from #{number}")
            else:
                messages.info(
                    request, "That was sent before, and done once. Open the page again to split more off."
                )
            return redirect(made[0] if made else incident)
    elif form.errors:
        status = 422
    chosen = set(request.POST.getlist("alert"))
    return render(
        request,
        "alerts/split.html",
        {
            "incident": incident,
            "form": form,
            "once_key": uuid4(),
            "offered": [(alert, str(alert.pk) in chosen) for alert in offered],
            "most": MOST_OFFERED,
            "is_cut": len(offered) == MOST_OFFERED,
        },
        status=status,
    )


@login_required
@require_POST
def unmerge(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, splitting.undo_merge, done=f"#{number} is an incident of its own again")
