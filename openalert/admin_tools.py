"""What all admin pages come through, so that they look alike: pages, inlines, forms and widgets in Unfold's look."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from django import forms
from django.contrib.admin.widgets import AutocompleteMixin, RelatedFieldWidgetWrapper
from django.db import models
from django.forms.widgets import Input
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold import widgets
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator

from openalert import admin_lists
from openalert.admin_access import ModelAdmin as RoleModelAdmin
from openalert.admin_access import TabularInline

__all__ = [
    "AdminPasswordChangeForm",
    "ModelAdmin",
    "RecordAdmin",
    "RecordInline",
    "TabularInline",
    "UserChangeForm",
    "UserCreationForm",
    "dress",
    "list_link",
]

# Of widgets that a form names itself: the first that fits.
LOOKS: Sequence[tuple[type[forms.Widget], list[str]]] = (
    (forms.CheckboxInput, widgets.SWITCH_CLASSES),
    (forms.Select, widgets.SELECT_CLASSES),
    (forms.Textarea, widgets.TEXTAREA_CLASSES),
    (Input, widgets.INPUT_CLASSES),
)

admin_lists.make_headers_once()

TEXT_ROWS = 4  # Django's ten fill a phone; the corner is there to be pulled


class ModelAdmin(RoleModelAdmin):
    list_per_page = 50  # each takes Unfold a millisecond and more

    def get_form(
        self, request: HttpRequest, obj: models.Model | None = None, change: bool = False, **options: Any
    ) -> type[forms.ModelForm]:
        """Unfold gives its look to the fields that it makes; here it comes to those that the form declares."""
        form = super().get_form(request, obj, change, **options)
        form.base_fields = deepcopy(form.base_fields)  # those declared are the form's that ours is made from
        dress(form.base_fields)
        for field in form.base_fields.values():
            if isinstance(field.widget, forms.Textarea):
                field.widget.attrs["rows"] = TEXT_ROWS
        return form


class RecordAdmin(ModelAdmin):
    """For rows that the product writes: to be looked at, never to be edited. There may be millions: none are counted."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_disable_select_all = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class RecordInline(TabularInline):
    """A record's rows beside the record; at most the newest are worth a look."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def dress(fields: dict[str, forms.Field]) -> None:
    """Give the fields' widgets Unfold's look where they have none."""
    for field in fields.values():
        if not has_look(field.widget):
            field.widget = _dressed(field.widget)


def has_look(widget: forms.Widget) -> bool:
    if isinstance(widget, RelatedFieldWidgetWrapper):
        widget = widget.widget
    return (
        widget.is_hidden
        or isinstance(widget, AutocompleteMixin)
        or type(widget).__module__.startswith("unfold.")
        or "rounded-default" in widget.attrs.get("class", "")
    )


def _dressed(widget: forms.Widget) -> forms.Widget:
    if isinstance(widget, forms.CheckboxSelectMultiple):
        return widgets.UnfoldAdminCheckboxSelectMultipleWidget(attrs=widget.attrs, choices=widget.choices)
    if isinstance(widget, forms.FileInput):  # without the field beside it, Unfold's script fails
        return widgets.UnfoldAdminFileFieldWidget(attrs=widget.attrs)
    if isinstance(widget, forms.RadioSelect):
        return widgets.UnfoldAdminRadioSelectWidget(attrs=widget.attrs, choices=widget.choices)
    if isinstance(widget, forms.Select) and not widget.allow_multiple_selected:
        widget.template_name = widgets.UnfoldAdminSelectWidget.template_name  # with its arrow
    for kind, classes in LOOKS:
        if isinstance(widget, kind):
            widget.attrs["class"] = " ".join([*classes, widget.attrs.get("class", "")]).strip()
            break
    return widget


def list_link(model: type[models.Model], text: object, **filters: object) -> SafeString:
    """A link to the model's list in the admin, narrowed by `filters` (`team__id__exact=…`)."""
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return format_html('<a href="{}?{}">{}</a>', page, query, text)
