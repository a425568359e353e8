"""The page of reports, its sections, and their tables as CSV."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from incidents.models import ReportSchedule
from openalert.answers import done, refused
from openalert.exceptions import OpenAlertError, PermissionMissing
from teams.access import require_manage, teams_to_manage

from . import export, mail, parts
from .blocks import Chart, Section, tables_of
from .charts import draw
from .forms import ReportForm


@login_required
@require_GET
def reports_page(request: HttpRequest) -> HttpResponse:
    """The filter and a place for each section, which fills itself."""
    form = ReportForm(request.GET, user=request.user)
    schedules = ReportSchedule.objects.filter(team__in=teams_to_manage(request.user))
    context = {
        **_shared(request, form),
        "sections": parts.sections(),
        "schedules": schedules.select_related("team", "task__crontab"),
    }
    return render(request, "incidents/reports/page.html", context)


@login_required
@require_GET
def report_section(request: HttpRequest, slug: str) -> HttpResponse:
    """One section: as a fragment, or without htmx as a page."""
    section = _section(slug)
    form = ReportForm(request.GET, user=request.user)
    shared = _shared(request, form)
    blocks = [
        (block, draw(block) if isinstance(block, Chart) else None) for block in section.build(shared["scope"])
    ]
    template = "_section.html" if request.htmx else "section.html"
    return render(request, f"incidents/reports/{template}", {**shared, "section": section, "blocks": blocks})


@login_required
@require_GET
def report_csv(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """A table of a section as a file. A filter that is wrong is 422, not another report than was asked for."""
    section = _section(slug)
    form = ReportForm(request.GET, user=request.user)
    scope = form.scope()
    if form.errors:
        words = " ".join(message for messages in form.errors.values() for message in messages)
        return HttpResponse(words, status=HTTPStatus.UNPROCESSABLE_ENTITY, content_type="text/plain")
    table = next((table for table in tables_of(section.build(scope)) if table.name == name), None)
    if table is None:
        raise Http404
    file = f"openalert-{name}-{scope.start:%Y-%m-%d}-{scope.end:%Y-%m-%d}.csv"
    return HttpResponse(
        export.as_csv(table),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file}"'},
    )


@login_required
@require_POST
def send_report(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a scheduled report now, to all who get it, whatever was sent today."""
    schedules = ReportSchedule.objects.select_related("team", "task__crontab")
    schedule = get_object_or_404(schedules.filter(team__in=teams_to_manage(request.user)), pk=pk)
    try:
        require_manage(request.user, schedule.team)
        count = mail.send_now(schedule)
    except PermissionMissing as failure:
        raise PermissionDenied(failure.detail) from failure
    except OpenAlertError as failure:
        return refused(request, failure, to=reverse("reports"))
    people = "1 person" if count == 1 else f"{count} people"
    return done(request, f"{schedule} is sent to {people}", to=reverse("reports"))


def _section(slug: str) -> Section:
    section = parts.section(slug)
    if section is None:
        raise Http404
    return section


def _shared(request: HttpRequest, form: ReportForm) -> dict[str, Any]:
    scope = form.scope()
    return {"form": form, "scope": scope, "query": request.GET.urlencode()}
