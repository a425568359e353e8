"""Pages of the admin that ask before they do something, and pages that only show."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse


def page_about(
    page: ModelAdmin, request: HttpRequest, row: Model, template: str, **context: Any
) -> TemplateResponse:
    """A page of the admin about a row; its `title` is among the context."""
    opts = page.opts
    shared = {
        **page.admin_site.each_context(request),
        "opts": opts,
        "original": row,
        "back": reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk]),
    }
    return TemplateResponse(request, template, shared | context)


def ask(
    page: ModelAdmin, request: HttpRequest, row: Model, *, title: str, text: str, form: Form, button: str
) -> TemplateResponse:
    """The question, to be answered by POST to the same address."""
    context = {"title": title, "text": text, "form": form, "button": button}
    return page_about(page, request, row, "admin/ask.html", **context)
