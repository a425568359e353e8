"""The pages of outgoing webhooks, for the managers of the teams that they belong to."""

from collections.abc import Callable
from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError
from teams.access import teams_to_manage
from teams.models import User

from . import webhooks
from .forms import WebhookForm
from .models import Webhook, WebhookDelivery

CHANGED = "webhooks-changed"  # the lists listen for it
PAGE_SIZE = 50


@login_required
@require_GET
def webhook_list(request: HttpRequest) -> HttpResponse:
    return _list(request)


def _list(
    request: HttpRequest, *, form: WebhookForm | None = None, fresh: Webhook | None = None
) -> HttpResponse:
    """The page; with a webhook whose secret is new, which is shown this once."""
    user = cast(User, request.user)
    context = {
        "webhooks": Webhook.objects.visible_to(user).select_related("team"),
        "manages_any": teams_to_manage(user).exists(),
        "form": form or WebhookForm(user=user),
        "fresh": fresh,
    }
    return render(request, "notifications/webhooks.html", context, status=422 if form else 200)


@login_required
@require_POST
@never_cache
def add(request: HttpRequest) -> HttpResponse:
    form = WebhookForm(request.POST, user=cast(User, request.user))
    if not form.is_valid():
        return _list(request, form=form)
    webhooks.create(form.instance)
    return _list(request, fresh=form.instance)


@login_required
@require_POST
@never_cache
def rotate_secret(request: HttpRequest, pk: UUID) -> HttpResponse:
    webhooks.rotate_secret(_webhook(request, pk).pk)
    return _list(request, fresh=_webhook(request, pk))


@login_required
@require_POST
def set_enabled(request: HttpRequest, pk: UUID) -> HttpResponse:
    webhook, is_enabled = _webhook(request, pk), request.POST.get("is_enabled") == "1"
    webhooks.change(webhook.pk, is_enabled=is_enabled)
    return _done(request, f"Switched {'on' if is_enabled else 'off'}: {webhook}")


@login_required
@require_POST
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    webhook = _webhook(request, pk)
    webhook.delete()
    return _done(request, f"Removed: {webhook}")


@login_required
@require_POST
def send_test(request: HttpRequest, pk: UUID) -> HttpResponse:
    webhook = _webhook(request, pk)
    return _try(request, lambda: webhooks.send_test(webhook), "A test event is on its way", webhook)


@login_required
@require_GET
def deliveries(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What a webhook was told and is to be told, newest first."""
    webhook = _webhook(request, pk)
    rows = webhook.deliveries.select_related("incident").order_by("-created_at", "-pk")
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "notifications/webhook.html", {"webhook": webhook, "page": page})


@login_required
@require_POST
def replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    visible = WebhookDelivery.objects.filter(webhook__in=Webhook.objects.visible_to(request.user))
    delivery = get_object_or_404(visible.select_related("webhook"), pk=pk)
    return _try(request, lambda: webhooks.replay(delivery), "It is on its way again", delivery.webhook)


def _webhook(request: HttpRequest, pk: UUID) -> Webhook:
    return get_object_or_404(Webhook.objects.visible_to(request.user).select_related("team"), pk=pk)


def _done(request: HttpRequest, title: str) -> HttpResponse:
    return done(request, title, to=reverse("webhooks"), changed=CHANGED)


def _try(request: HttpRequest, action: Callable[[], object], title: str, webhook: Webhook) -> HttpResponse:
    to = reverse("webhook", args=[webhook.pk])
    try:
        action()
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    return done(request, title, to=to, changed=CHANGED)
