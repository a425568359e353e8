"""Who takes turns in a layer, set in the admin: by the same call as on the schedule's page."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import action

from openalert import admin_roles
from openalert.admin_ask import page_about
from openalert.admin_tools import dress

from . import rotations
from .exceptions import LayerIsGone
from .models import Layer, Schedule
from .schedule_forms import keep_turn_field, place_forms


class TurnsForm(forms.Form):
    keep_turn = keep_turn_field()


class LayerActions(ModelAdmin):
    actions_detail = ("people",)

    def has_people_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Otherwise layers are not changed here."""
        return admin_roles.may(request.user, "change", Layer, obj)

    @action(description="Who takes turns", url_path="people", permissions=["people"])
    def people(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The people of a layer in force, in their turns. It gets a new version, as by any change."""
        layer = self.get_object(request, object_id)
        if layer is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        schedule = layer.schedule
        if layer.replaced_at is not None:
            return self._gone(request, schedule)
        data = request.POST if request.method == "POST" else None
        form, places = TurnsForm(data), place_forms(data, schedule=schedule, layer=layer)
        # Both, so that all faults are told.
        if form.is_valid() & places.is_valid():
            keep_turn, participants = form.cleaned_data["keep_turn"], places.participants
            try:
                changed = rotations.change_layer(
                    layer_id=layer.pk, keep_turn=keep_turn, participants=participants
                )
            except LayerIsGone:
                return self._gone(request, schedule)
            except ValidationError as failure:  # what else the layer says is no longer taken
                form.add_error(None, failure.messages)
            else:
                self.log_change(request, changed, "Set who takes turns.")
                self.message_user(request, f"The people of {changed.name} are saved.", messages.SUCCESS)
                return redirect("admin:teams_schedule_on_call", schedule.pk)
        dress(form.fields)
        for number, row in enumerate(places, 1):
            dress(row.fields)
            for field in row.fields.values():
                field.widget.attrs["aria-label"] = f"{field.label}, row {number}"
        response = page_about(
            self,
            request,
            layer,
            "admin/teams/layer/people.html",
            title=f"Who takes turns in {layer.name}",
            schedule=schedule,
            form=form,
            places=places,
            back=reverse("admin:teams_schedule_change", args=[schedule.pk]),
        )
        response.status_code = 200 if data is None else 422
        return response

    def _gone(self, request: HttpRequest, schedule: Schedule) -> HttpResponse:
        self.message_user(request, LayerIsGone.detail, messages.ERROR)
        return redirect("admin:teams_schedule_change", schedule.pk)
