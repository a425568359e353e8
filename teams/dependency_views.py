"""What a service depends on, on its page."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError, PermissionMissing

from . import dependencies as heart
from .access import can_manage, require_manage
from .forms import DependencyForm, DependencySettingForm
from .models import Service, ServiceDependency

CHANGED = "dependencies-changed"  # the region of a service's page listens for it


@login_required
@require_GET
def dependencies(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What a service depends on, and what depends on it; whoever sees it sees the names on both sides."""
    service = _service(request, pk)
    return render(
        request,
        "teams/_dependencies.html",
        {
            "service": service,
            "up": service.dependencies.select_related("upstream__team").order_by("upstream__name"),
            "down": service.dependents.select_related("service__team").order_by("service__name"),
            "visible": set(Service.objects.visible_to(request.user).values_list("pk", flat=True)),
            "may_manage": can_manage(request.user, service.team),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET gives the form, as a page or for a dialog; POST adds the dependency."""
    service = _service(request, pk)
    to = reverse("service", args=[pk])
    try:
        require_manage(request.user, service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    form = DependencyForm(request.POST or None, service=service, asker=request.user)
    if form.is_valid():
        try:
            added = heart.add_dependency(service=service, by=request.user, **form.cleaned_data)
        except OpenAlertError as failure:
            form.add_error(failure.field, failure.detail)
        else:
            return done(request, str(added), to=to, changed=CHANGED)
    return _form(request, service, form, title=f"What {service} depends on", submit="Add")


@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET gives the form, as a page or for a dialog; POST sets what follows from the dependency."""
    dependency = _dependency(request, pk)
    service = dependency.service
    to = reverse("service", args=[service.pk])
    try:
        require_manage(request.user, service.team)
    except PermissionMissing as failure:
        return refused(request, failure, to=to)
    present = {"correlation": dependency.correlation, "window_minutes": dependency.window_minutes}
    form = DependencySettingForm(request.POST or None, initial=present)
    if form.is_valid():
        try:
            heart.change_dependency(dependency_id=pk, by=request.user, **form.cleaned_data)
        except OpenAlertError as failure:
            form.add_error(failure.field, failure.detail)
        else:
            return done(request, "The dependency is saved", to=to, changed=CHANGED)
    return _form(request, service, form, title=str(dependency), submit="Save")


@login_required
@require_POST
def remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    dependency = _dependency(request, pk)
    from_upstream = request.POST.get("page") == "upstream"
    to = reverse("service", args=[dependency.upstream_id if from_upstream else dependency.service_id])
    try:
        heart.remove_dependency(dependency=dependency, by=request.user)
    except OpenAlertError as failure:
        return refused(request, failure, to=to)
    title = f"{dependency.service} no longer depends on {dependency.upstream}"
    return done(request, title, to=to, changed=CHANGED)


def _service(request: HttpRequest, pk: UUID) -> Service:
    return get_object_or_404(Service.objects.visible_to(request.user).select_related("team"), pk=pk)


def _dependency(request: HttpRequest, pk: UUID) -> ServiceDependency:
    """One that is shown on a page of the person's: that of either service."""
    found = ServiceDependency.objects.visible_to(request.user)
    return get_object_or_404(found.select_related("service__team", "upstream__team"), pk=pk)


def _form(request: HttpRequest, service: Service, form: Form, *, title: str, submit: str) -> HttpResponse:
    template = "teams/_dependency_form.html" if request.htmx else "teams/dependency_form.html"
    context = {"service": service, "form": form, "title": title, "submit": submit}
    return render(request, template, context, status=422 if form.errors else 200)
