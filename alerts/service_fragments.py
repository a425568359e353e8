"""What the alerts app shows on a service's page: its integrations, and how new ones are made."""

from datetime import timedelta
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Count, OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from openalert.answers import refused
from openalert.exceptions import PermissionMissing
from openalert.words import listed, span_in_words
from teams.access import can_manage, require_manage
from teams.models import Service

from . import integrations
from .enums import Grouping
from .forms import IntegrationForm
from .models import Alert, Integration, IntegrationRule
from .set_up import set_up_text


def grouping_in_words(integration: Integration) -> str:
    """Which of its alerts share an incident, as a sentence."""
    match integration.grouping:
        case Grouping.NONE:
            return "Each alert opens an incident of its own."
        case Grouping.ALL:
            which = "All alerts become one incident"
        case Grouping.LABELS:
            which = f"Alerts with the same {listed(integration.grouping_labels)} become one incident"
        case _:
            which = "Alerts with the same name become one incident"
    window = span_in_words(timedelta(minutes=integration.grouping_window_minutes))
    return f"{which}, as long as no more than {window} pass between them."


@login_required
@require_GET
def service_integrations(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = _service(request, pk)
    newest = Alert.objects.newest_of(OuterRef("pk")).values("last_fired_at")[:1]
    rules = IntegrationRule.objects.filter(integration=OuterRef("pk")).order_by().values("integration")
    found = service.integrations.annotate(
        last_alert_at=Subquery(newest), rule_count=Subquery(rules.annotate(n=Count("pk")).values("n"))
    ).order_by("name")
    return render(
        request,
        "alerts/_service_integrations.html",
        {
            "service": service,
            "may_manage": can_manage(request.user, service.team),
            "integrations": found,
        },
    )


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def new_integration(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = _service(request, pk)
    try:
        require_manage(request.user, service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=reverse("service", args=[pk]))
    form = IntegrationForm(request.POST or None, service=service)
    if request.method == "POST" and form.is_valid():
        return show_key(request, form.instance, integrations.create_integration(form.instance))
    return render(
        request,
        "alerts/integration_new.html",
        {"service": service, "form": form},
        status=422 if form.errors else 200,
    )


def _service(request: HttpRequest, pk: UUID) -> Service:
    return get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)


def show_key(request: HttpRequest, integration: Integration, key: str) -> HttpResponse:
    """The only page that ever shows a key. Nothing on the way keeps it."""
    context = {"integration": integration, "key": key, "set_up": set_up_text(integration, key)}
    return render(request, "alerts/integration_key.html", context)


urlpatterns = [
    path("services/<uuid:pk>/integrations/", service_integrations, name="service-integrations"),
    path("services/<uuid:pk>/integrations/new/", new_integration, name="integration-new"),
]
