"""What several apps' admin pages have in common."""

from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from openalert.admin_access import ModelAdmin, TabularInline

__all__ = ["ModelAdmin", "RecordAdmin", "RecordInline", "TabularInline", "list_link"]


class RecordAdmin(ModelAdmin):
    """For rows that the product writes: to be looked at, never to be edited."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
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


def list_link(model: type[models.Model], text: object, **filters: object) -> SafeString:
    """A link to the model's list in the admin, narrowed by `filters` (`team__id__exact=…`)."""
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return format_html('<a href="{}?{}">{}</a>', page, query, text)
