"""The audit log's page and exports."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from incidents.reports.export import BYTE_ORDER_MARK, FORMULAS
from openalert import audit
from openalert.audit import search
from openalert.audit.lines import kind_words, lines_of, words
from openalert.models import AuditEntry
from teams.standing import may_read_audit

PER_PAGE = 50


def _form(request: HttpRequest) -> search.SearchForm:
    if not may_read_audit(request.user):
        raise PermissionDenied("Only administrators and auditors read the audit log.")
    return search.SearchForm(request.GET)


@login_required
@require_GET
@never_cache
def audit_page(request: HttpRequest) -> HttpResponse:
    form = _form(request)
    entries = list(form.entries()[: PER_PAGE + 1]) if form.is_valid() else []
    query = request.GET.copy()
    query.pop("before", None)
    context = {
        "form": form,
        "entries": lines_of(entries[:PER_PAGE]),
        "older": entries[PER_PAGE - 1].pk if len(entries) > PER_PAGE else None,
        "actions": [(value, words(value)) for value in search.actions()],
        "kinds": sorted(((value, kind_words(value)) for value in search.kinds()), key=lambda kind: kind[1]),
        "query": query.urlencode(),
    }
    status = HTTPStatus.OK if form.is_valid() else HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "audit.html", context, status=status)


@login_required
@require_GET
@never_cache
def export_csv(request: HttpRequest) -> HttpResponseBase:
    return _export(
        request,
        _csv,
        "text/csv; charset=utf-8",
        "audit.csv",
        BYTE_ORDER_MARK + ",".join(search.COLUMNS) + "\r\n",
    )


@login_required
@require_GET
@never_cache
def export_json_lines(request: HttpRequest) -> HttpResponseBase:
    return _export(request, _json_lines, "application/x-ndjson", "audit.jsonl", "")


def _export(
    request: HttpRequest, render_batch: Callable[[Iterable[AuditEntry]], str], type: str, name: str, head: str
) -> HttpResponseBase:
    """All that was found, as it is read: memory holds one batch. The export is itself a line of the log."""
    form = _form(request)
    if not form.is_valid():
        return HttpResponse("The search is not valid.", status=HTTPStatus.UNPROCESSABLE_ENTITY)
    audit.record("audit_exported", file=name, looked_for=form.looked_for)
    batches = search.batches(form.entries())

    async def content() -> AsyncIterator[str]:
        yield head
        while (batch := await sync_to_async(next)(batches, None)) is not None:
            yield render_batch(batch)

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(content(), content_type=type, headers=headers)


def _csv(entries: Iterable[AuditEntry]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    for entry in entries:
        writer.writerow(_cell(value) for value in search.as_dict(entry).values())
    return file.getvalue()


def _cell(value: Any) -> str:
    text = (
        msgspec.json.encode(value).decode()
        if isinstance(value, dict)
        else ""
        if value is None
        else str(value)
    )
    return f"'{text}" if text.startswith(FORMULAS) else text


def _json_lines(entries: Iterable[AuditEntry]) -> str:
    return "".join(msgspec.json.encode(search.as_dict(entry)).decode() + "\n" for entry in entries)
