"""Admin pages by role: which rows, choices, fields and actions whoever asks gets, and the history of each row.

What a role may is decided in `admin_roles`.
"""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path, unquote
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import TabularInline as UnfoldTabularInline

from openalert import admin_roles
from openalert.audit.lines import lines_of
from openalert.audit.tracking import is_tracked
from openalert.models import AuditEntry
from teams.standing import may_read_audit

ENTRIES_PER_PAGE = 50
READS = ("GET", "HEAD", "OPTIONS")


class ChoicesOfOwnTeams:
    """A form of which each choice of rows is narrowed to what the person may choose, or has chosen already."""

    user: Any
    team_field = ""  # that leads to the row's team, if it is one of the form's

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.team_field in self.fields:  # type: ignore[attr-defined]
            self.fields[self.team_field].required = True  # type: ignore[attr-defined]  # none is: of the installation
        instance = getattr(self, "instance", None)
        for name, field in self.fields.items():  # type: ignore[attr-defined]
            if isinstance(field, forms.ModelChoiceField) and field.queryset is not None:
                chosen = _chosen(instance, name)
                field.queryset = admin_roles.choices(field.queryset, self.user, chosen)


def _chosen(instance: models.Model | None, name: str) -> list[Any]:
    if instance is None or instance._state.adding:
        return []
    try:
        field = instance._meta.get_field(name)
    except FieldDoesNotExist:
        return []
    if field.many_to_many:
        return list(getattr(instance, name).values_list("pk", flat=True))
    return [getattr(instance, field.attname)]  # type: ignore[union-attr]


def narrowed(form: type[forms.BaseForm], user: Any, *, team_field: str = "") -> type[forms.BaseForm]:
    """The form with choices of the person's own teams; for administrators as it is."""
    if admin_roles.is_admin(user):
        return form
    return type(form.__name__, (ChoicesOfOwnTeams, form), {"user": user, "team_field": team_field})


class ByRole:
    """Asks admin_roles whatever Django would ask of its own permissions."""

    model: type[models.Model]

    def asked_model(self) -> type[models.Model]:
        return self.model

    def may(self, request: HttpRequest, action: str, obj: models.Model | str | None) -> bool:
        """Unfold asks about a row by its id for actions on its page."""
        return admin_roles.may(request.user, action, self.asked_model(), obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "add", None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "delete", obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "view", None)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[Any, dict[str, Any]]]:
        found = super().get_fieldsets(request, obj)  # type: ignore[misc]
        hidden = self.hidden_fields(request, obj) if obj is not None else set()
        return [
            (title, {**options, "fields": _without(options["fields"], hidden)}) for title, options in found
        ]

    def hidden_fields(self, request: HttpRequest, obj: Any = None) -> set[str]:
        return admin_roles.hidden_fields(request.user, self.model, obj)


def _without(fields: Sequence[Any], hidden: set[str]) -> list[Any]:
    """Some stand in groups of their own, side by side."""
    kept = [_without(name, hidden) if isinstance(name, list | tuple) else name for name in fields]
    return [name for name in kept if isinstance(name, list) or name not in hidden]


class OwnTeamsFilter(admin.RelatedFieldListFilter):
    """Offers only what the person may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = admin_roles.visible(field.remote_field.model._default_manager.all(), request.user)
        ordering = self.field_admin_ordering(field, request, model_admin)
        found: list[tuple[str, str]] = field.get_choices(
            include_blank=False, ordering=ordering, limit_choices_to={"pk__in": rows.values("pk")}
        )
        return found


class RowsChanged(Exception):
    """Somebody else has changed rows after the form was checked and before it is saved. It undoes what was saved yet."""


class ModelAdmin(ByRole, UnfoldModelAdmin):
    """Rows, choices and fields by the role of whoever asks."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except RowsChanged:  # now the check finds it, and the page tells of it
            return super().changeform_view(request, object_id, form_url, extra_context)

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For actions on records, which are not changed otherwise."""
        return self.may(request, "act", obj)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """To be read: what they see. To be written, by a form or an action: what they have a hand in."""
        rows = super().get_queryset(request)
        if request.resolver_match is not None and request.resolver_match.url_name == "autocomplete":
            return admin_roles.choices(rows, request.user)
        narrow = admin_roles.visible if request.method in READS else admin_roles.limit
        return narrow(rows, request.user)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.BaseForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        return narrowed(form, request.user, team_field=admin_roles.team_field(self.model))

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type[forms.BaseForm]:
        return narrowed(super().get_changelist_form(request, **kwargs), request.user)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return _without(super().get_list_display(request), self.hidden_fields(request))

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Who may not see a value may not find it by trying either."""
        return [
            name
            for name in super().get_search_fields(request)
            if not self._is_hidden(name.lstrip("=^@"), request)
        ]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return not self._is_hidden(lookup, request) and super().lookup_allowed(lookup, value, request)

    def _is_hidden(self, path: str, request: HttpRequest) -> bool:
        """Whether the path (`contact_method__address__startswith`) leads by a secret that is not theirs to see."""
        model: Any = self.model
        for name in path.split("__"):
            if model is None or admin_roles.is_admin(request.user):
                return False
            if name in admin_roles.secret_fields(model):
                return True
            try:
                model = model._meta.get_field(name).related_model
            except FieldDoesNotExist:  # how it is compared
                return False
        return False

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        found = list(super().get_list_filter(request))
        if admin_roles.sees_everything(request.user):
            return found
        return [
            (item, OwnTeamsFilter) if isinstance(item, str) and self._leads_to_rows(item) else item
            for item in found
        ]

    def _leads_to_rows(self, path: str) -> bool:
        return bool(get_fields_from_path(self.model, path)[-1].is_relation)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the audit log tells of the row: who did what, when, and what changed from and to. Secrets are not in it."""
        row, reads_all = self.get_object(request, unquote(object_id)), may_read_audit(request.user)
        audit_page = f"{reverse('audit')}?object={self.model._meta.label_lower}:{unquote(object_id)}"
        if row is None:  # its history may still be read where all is
            return (
                redirect(audit_page)
                if reads_all
                else self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            )
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        found = AuditEntry.objects.filter(object_type=self.model._meta.label_lower, object_id=str(row.pk))
        if not reads_all:  # sign-ins and the like are not a manager's to read
            found = found.filter(action__in=("created", "changed", "deleted"))
        page = Paginator(found.order_by("-id"), ENTRIES_PER_PAGE).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"History: {row}",
            "opts": self.opts,
            "object": row,
            "original": row,
            "page": page,
            "lines": lines_of(page.object_list),
            "is_tracked": is_tracked(self.model),
            "audit_page": audit_page if reads_all else "",
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/row_history.html", context)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._require_own(request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._require_own(request, obj)
        return super().log_change(request, obj, message)

    def _require_own(self, request: HttpRequest, obj: models.Model) -> None:
        """After saving, still in its transaction: nobody makes a row, or moves one, to where they have no hand in it."""
        rows = self.model._base_manager.filter(pk=obj.pk)
        if not admin_roles.is_admin(request.user) and not admin_roles.limit(rows, request.user).exists():
            raise PermissionDenied


class TabularInline(ByRole, UnfoldTabularInline):
    """Rows beside their row: by their own line in admin_roles or, without one, by that of the row."""

    parent_model: type[models.Model]

    def asked_model(self) -> type[models.Model]:
        return self.model if self.model._meta.label_lower in admin_roles.TABLE else self.parent_model

    def may(self, request: HttpRequest, action: str, obj: models.Model | str | None) -> bool:
        """`obj` is the row that they stand beside, which has been asked for itself."""
        return admin_roles.may(request.user, action, self.asked_model())

    def hidden_fields(self, request: HttpRequest, obj: Any = None) -> set[str]:
        is_changed = admin_roles.is_admin(request.user) or self.may(request, "change", None)
        return set() if is_changed else admin_roles.secret_fields(self.model)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request)
        return admin_roles.visible(rows, request.user) if self.asked_model() is self.model else rows

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.form = narrowed(formset.form, request.user)
        return formset
