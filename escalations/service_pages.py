"""Pages on which managers make services, change and remove them."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_http_methods, require_POST

from openalert.answers import refused
from openalert.exceptions import OpenAlertError, PermissionMissing
from teams import service_checks
from teams.access import require_manage, teams_to_manage
from teams.models import Service
from teams.services import remove_service

from . import services
from .service_forms import NewServiceForm, ServiceForm

# Where a failure of a heart is shown, if its field has another name here.
FIELDS = {"upstream": "upstreams"}


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    if not teams_to_manage(request.user).exists():
        raise PermissionDenied("Only managers of a team may make services.")
    form = NewServiceForm(request.POST or None, asker=request.user, service=Service())
    if form.is_valid():
        try:
            service = services.create_service(**form.cleaned_data, by=request.user)
        except OpenAlertError as failure:
            _show(form, failure)
        else:
            return _saved(request, service, f"{service} is made. Now connect what watches it.")
    return _page(request, form, None)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = _service(request, pk)
    try:
        require_manage(request.user, service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=reverse("service", args=[pk]))
    form = ServiceForm(request.POST or None, asker=request.user, service=service)
    if form.is_valid():
        try:
            changed = services.change_service(service_id=pk, **form.cleaned_data, by=request.user)
        except OpenAlertError as failure:
            _show(form, failure)
        else:
            return _saved(request, changed, f"{changed} is saved")
    return _page(request, form, service)


@login_required
@require_POST
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    service = _service(request, pk)
    try:
        remove_service(service_id=pk, by=request.user)
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("service-edit", args=[pk]))
    messages.success(request, f"{service} is removed")
    return redirect("services")


def _service(request: HttpRequest, pk: UUID) -> Service:
    return get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)


def _show(form: ServiceForm, failure: OpenAlertError) -> None:
    field = FIELDS.get(failure.field or "", failure.field)
    form.add_error(field if field in form.fields else None, failure.detail)


def _saved(request: HttpRequest, service: Service, words: str) -> HttpResponse:
    messages.success(request, words)
    for warning in service_checks.warnings_for([service])[service.pk]:
        messages.warning(request, warning)
    return redirect("service", service.pk)


def _page(request: HttpRequest, form: ServiceForm, service: Service | None) -> HttpResponse:
    context = {"form": form, "service": service}
    return render(request, "escalations/service_form.html", context, status=422 if form.errors else 200)


urlpatterns = [
    path("services/new/", new, name="service-new"),
    path("services/<uuid:pk>/edit/", edit, name="service-edit"),
    path("services/<uuid:pk>/remove/", remove, name="service-remove"),
]
