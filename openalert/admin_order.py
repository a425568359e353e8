"""Rows in the admin that have an order: dragged, or put in their place by a number that is typed.

Unfold drags rows and writes numbers; static/js/admin-order.js lets these begin with 1. What order the numbers mean is
said here, and whoever subclasses `OrderedFormSet` writes it by the app's own function.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import HttpRequest
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from .admin_access import RowsChanged
from .admin_tools import TabularInline

PLACE = "position"
ANY = object()
HIGHEST = 32_767  # a PositiveSmallIntegerField's
CHANGED_MEANWHILE = "Somebody has changed these rows meanwhile. Open the page anew; nothing was saved."


class PlaceField(forms.IntegerField):
    """A place that counts from 1; empty for the last."""

    widget = UnfoldAdminIntegerFieldWidget

    def __init__(self, **options: Any) -> None:
        given = {"label": "Order", "required": False, "min_value": 1, "max_value": HIGHEST, **options}
        super().__init__(**given)
        self.widget.attrs["aria-label"] = "Order, empty: last"


class OrderedForm(forms.ModelForm):
    """Of a row whose `position` counts from 0. It is not held against the other rows: they are being moved, too."""

    do_not_call_in_templates = True  # which would make forms of it, without what the formset gives them
    position = PlaceField()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance._state.adding:
            self.initial.pop(PLACE, None)
        else:
            self.initial[PLACE] = self.instance.position + 1

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {PLACE}  # type: ignore[misc]


class OrderedFormSet(PaginationInlineFormSet):
    """`write` saves the rows that stay, in their order."""

    known_by = "pk"  # what a row is told by, as long as it is there
    spares_added = True  # rows that somebody else has added since the page was opened

    def clean(self) -> None:
        super().clean()
        if not self.are_shown(self.queryset):
            raise ValidationError(CHANGED_MEANWHILE)

    def are_shown(self, rows: models.QuerySet[Any]) -> bool:
        """Whether the rows are still those of the page. One that was not found there has an instance that is new."""
        now = {getattr(row, self.known_by) for row in rows.prefetch_related(None)}
        shown = {getattr(form.instance, self.known_by) for form in self.initial_forms}
        return now >= shown if self.spares_added else now == shown

    @transaction.atomic
    def save(self, commit: bool = True) -> list[Any]:
        """What the admin tells of afterwards is kept as by Django: `new_objects`, `changed_objects`, `deleted_objects`.

        Raises RowsChanged.
        """
        self.new_objects, self.changed_objects, self.deleted_objects = [], [], []
        if not self.has_changed() and not self.deleted_forms:
            return []
        self._hold()
        self.deleted_objects = [form.instance for form in self.deleted_forms if form in self.initial_forms]
        staying = self.in_order()
        for position, form in enumerate(staying):
            form.instance.position = position
            if form.instance._state.adding:
                self.new_objects.append(form.instance)
            elif form.has_changed():
                self.changed_objects.append((form.instance, form.changed_data))
        self.write(staying)
        return [form.instance for form in staying]

    def _hold(self) -> None:
        """From here on nobody else writes the rows, nor adds any by the apps' own functions, which lock the same."""
        type(self.instance)._base_manager.select_for_update(no_key=True).get(pk=self.instance.pk)
        if not self.are_shown(self.queryset.select_for_update(no_key=True, of=("self",))):
            raise RowsChanged

    def write(self, staying: Sequence[Any]) -> None:
        raise NotImplementedError

    def whole_order(self, staying: Sequence[Any]) -> list[Any]:
        """The ids of all rows as they are to stand: those that somebody else has added meanwhile come last."""
        named = [form.instance.pk for form in staying]
        stored = self.model._base_manager.filter(**{self.fk.name: self.instance}).order_by(PLACE)
        return named + [pk for pk in stored.values_list("pk", flat=True) if pk not in named]

    def in_order(self) -> list[Any]:
        """The forms of the rows that stay.

        A row that was given another number goes to that place; the others keep their order among themselves. Of
        several with one number, the first on the page goes first. Rows that are deleted still count for the numbers.
        """
        new = [form for form in self.extra_forms if form.has_changed()]
        moved = [*(form for form in self.initial_forms if PLACE in form.changed_data), *new]
        order = [form for form in self.initial_forms if form not in moved]
        numbered = [form for form in moved if form.cleaned_data.get(PLACE)]
        place = -1
        for form in sorted(numbered, key=lambda form: form.cleaned_data[PLACE]):
            place = max(form.cleaned_data[PLACE] - 1, place + 1)
            order.insert(place, form)
        order += [form for form in moved if form not in numbered]
        return [form for form in order if form not in self.deleted_forms]


class OrderedInline(TabularInline):
    """Shown when what the rows belong to is saved: until then it is not known what they may name."""

    form = OrderedForm
    formset = OrderedFormSet
    extra = 0
    ordering_field = PLACE

    class Media:
        js = ("js/admin-order.js",)

    def get_fields(self, request: HttpRequest, obj: models.Model | None = None) -> Sequence[str]:
        """For whoever may only look the rows stand in their order, and that is all."""
        fields = super().get_fields(request, obj)
        return fields if self.has_change_permission(request, obj) else [f for f in fields if f != PLACE]

    def get_formset(self, request: HttpRequest, obj: models.Model | None = None, **kwargs: Any) -> Any:
        if not self.has_change_permission(request, obj):
            self.ordering_field = None  # of this request's inline
        return super().get_formset(request, obj, **kwargs)

    def has_view_or_change_permission(
        self, request: HttpRequest, obj: models.Model | object | None = ANY
    ) -> bool:
        """Django asks without a row for the rows themselves, and with None on the page that adds what they belong to."""
        if obj is ANY:
            return super().has_view_or_change_permission(request)
        return obj is not None and super().has_view_or_change_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return obj is not None and super().has_add_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return obj is not None and super().has_delete_permission(request, obj)
