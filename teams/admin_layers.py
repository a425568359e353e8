"""A schedule's layers in the admin: the ones in force, to be put in order."""

from collections.abc import Sequence

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from openalert.admin_order import OrderedForm, OrderedFormSet, OrderedInline

from . import rotations
from .models import Layer


class LayerForm(OrderedForm):
    class Meta:
        model = Layer
        fields = ("position",)

    def _post_clean(self) -> None:
        """The row stays as it is: teams.rotations makes another version of it."""


class LayerFormSet(OrderedFormSet):
    known_by = "identity"  # another time zone, saved just before, has made other versions of them

    def write(self, staying: Sequence[LayerForm]) -> None:
        rotations.order_layers(
            schedule_id=self.instance.pk, lines=[form.instance.identity for form in staying]
        )


class LayerInline(OrderedInline):
    """The layers in force: put in order, and who takes turns. The rest is changed on the schedule's page."""

    model = Layer
    form = LayerForm
    formset = LayerFormSet
    fields = ("position", "name", "rotation", "turn_length", "starts_at", "ends_at", "people")
    readonly_fields = fields[1:]
    can_delete = False
    show_change_link = True
    verbose_name_plural = "layers: a later one wins over those before it"

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Layer]:
        layers = super().get_queryset(request).filter(replaced_at=None)
        return layers.prefetch_related("participants__user")

    @admin.display(description="people, in turn")
    def people(self, layer: Layer) -> str:
        names = ", ".join(map(str, layer.participants.all())) or "nobody yet"
        if not self.ordering_field:  # they may only look
            return names
        page = reverse("admin:teams_layer_people", args=[layer.pk])
        link = '{} <a href="{}" class="text-primary-600 underline dark:text-primary-500" aria-label="Change who takes turns in {}">Change</a>'
        return format_html(link, names, page, layer.name)
