"""“Whom would this policy page, and when?”, in the admin. The imagined incident goes the engine's own way."""

from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from unfold.decorators import action
from unfold.widgets import INPUT_CLASSES, UnfoldAdminSelectWidget

from incidents.enums import Severity
from openalert.admin_ask import page_about
from teams.models import Service

from .models import EscalationPolicy
from .preview import Preview, Step, imagined, preview_of
from .routing import Choice, with_steps
from .rule_forms import PreviewForm


class PolicyPreviewForm(PreviewForm):
    labels = None  # type: ignore[assignment]  # they choose a policy, and this one is chosen
    severity = forms.ChoiceField(
        choices=Severity.choices, initial=Severity.CRITICAL, widget=UnfoldAdminSelectWidget
    )
    service = forms.ModelChoiceField(
        Service.objects.none(),
        required=False,
        empty_label="Any of the team",
        widget=UnfoldAdminSelectWidget,
        help_text="Nobody is paged for a service under maintenance.",
    )

    def __init__(self, data: Any, *, policy: EscalationPolicy) -> None:
        super().__init__(data)
        self.fields["service"].queryset = policy.team.services.select_related("team")
        self.fields["at"].widget.attrs["class"] = " ".join(INPUT_CLASSES)

    def clean_labels(self) -> dict[str, str]:
        return {}


class PolicyActions(ModelAdmin):
    actions_detail = ("preview",)

    @action(description="Preview", url_path="preview", permissions=["view"])
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Who would be paged when, of an incident that is only imagined."""
        found = self.get_object(request, object_id)
        if found is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        policy = with_steps(EscalationPolicy.objects.select_related("team")).get(pk=found.pk)
        form = PolicyPreviewForm(request.GET or {"severity": Severity.CRITICAL}, policy=policy)
        shown = preview_by(policy, form.cleaned_data) if form.is_valid() else None
        response = page_about(
            self,
            request,
            policy,
            "admin/escalations/escalationpolicy/preview.html",
            title=f"Whom {policy} would page",
            form=form,
            found=shown,
            table=shown and {"headers": ["When", "Step", "Pages", "Who"], "rows": rows_of(shown)},
        )
        response.status_code = 422 if form.errors else 200
        return response


def preview_by(policy: EscalationPolicy, given: dict[str, Any]) -> Preview:
    at = given["at"] or timezone.now()
    # Without one: a service that no maintenance window is about.
    service = given["service"] or Service(team=policy.team, name="Any service")
    incident = imagined(service, Severity(given["severity"]), at=at)
    return preview_of(incident, Choice(policy, None), at=at)


def rows_of(found: Preview) -> list[list[str]]:
    return [
        [
            date_format(timezone.localtime(step.at), "D j M Y, H:i:s"),
            f"{step.number + 1}" + (f", round {step.loop + 1}" if step.loop else ""),
            ", ".join(step.targets),
            _who(step),
        ]
        for step in found.steps
    ]


def _who(step: Step) -> str:
    return (
        "; ".join(
            f"{person.user}: {person.in_words or 'not reached, all contact methods are switched off'}"
            for person in step.people
        )
        or "nobody"
    )
