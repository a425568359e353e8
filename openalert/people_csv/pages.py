"""The admin's pages: a file of people, and taking one over: upload, look, confirm.

Between looking and confirming the file waits in the form itself, packed and signed: nothing is kept on the server, so any
web process can go on, and it is planned anew before anything is written.
"""

from http import HTTPStatus
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from openalert import admin_roles, audit
from openalert.admin_tools import dress
from teams.models import Membership, User

from .export import as_csv
from .plan import Outcome, Plan, make_plan
from .sheet import COLUMNS, MOST_BYTES, MOST_ROWS, FileRefused, Sheet, decode, read
from .takeover import PlanChanged, take_over

MOST_SHOWN = 500  # of each outcome
SALT = "openalert.people_csv"
WAITS_SECONDS = 3600  # for the confirmation
COLUMN_NOTES = {
    "email": "Who it is, whatever its case. The only column that has to be there.",
    "name": "Somebody new needs one.",
    "job_title": "Like “Site reliability engineer”.",
    "phone": "With the country code, like +15005550006.",
    "time_zone": "Like Europe/Berlin. Somebody new has UTC without it.",
    "active": "yes or no. Who is not may not sign in and is never paged.",
    "role": "In the installation: member, auditor or administrator.",
    "teams": "Like “Payments: manager; Search: responder”. The roles are manager, responder and observer.",
    "contact_methods": "Like “sms: +15005550006; email: ana@example.org”. Also voice and slack. Their owners verify them.",
}


class UploadForm(forms.Form):
    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        dress(self.fields)


@require_GET
@never_cache
def export_page(request: HttpRequest) -> HttpResponse:
    """A file of those whom the person may see in the admin. It is a line of the audit log."""
    assert isinstance(request.user, User)
    if not admin_roles.may(request.user, "view", User):
        raise PermissionDenied
    content = as_csv(admin_roles.visible(User.objects.all(), request.user), by=request.user)
    audit.record("people_exported", file="people.csv")
    headers = {"Content-Disposition": 'attachment; filename="people.csv"'}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


@require_http_methods(["GET", "POST"])
@never_cache
def import_page(request: HttpRequest) -> HttpResponse:
    """GET asks for a file; POST with one tells what it would do; POST with what was told does it."""
    if not may_import(request.user):
        raise PermissionDenied
    if "plan" in request.POST:
        return _confirmed(request)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "GET" or not form.is_valid():
        return _page(request, form)
    file = form.cleaned_data["file"]
    if file.size > MOST_BYTES:
        form.add_error(
            "file", f"The file has {file.size:,} bytes, and may have {MOST_BYTES:,}. Split it into several."
        )
        return _page(request, form)
    try:
        text = decode(file.read())
        sheet = read(text)
    except FileRefused as refused:
        form.add_error("file", str(refused))
        return _page(request, form)
    return _plan_page(request, file.name, text, sheet)


def may_import(user: Any) -> bool:
    """Administrators, and managers: roles in their teams."""
    return admin_roles.may(user, "change", Membership)


def _confirmed(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    try:
        name, text, digest = signing.loads(request.POST["plan"], salt=_salt(request), max_age=WAITS_SECONDS)
    except signing.BadSignature:
        messages.error(
            request, "That was looked at more than an hour ago, or by somebody else. Upload the file again."
        )
        return redirect("people-import")
    sheet = read(text)
    try:
        plan = take_over(sheet, by=request.user, digest=digest, name=name)
    except PlanChanged:
        messages.warning(
            request,
            "Something has changed in between, so nothing was written. Look at what the file would do now.",
        )
        return _plan_page(request, name, text, sheet)
    counts = plan.counts
    messages.success(
        request, f"{name}: {counts['made']} made, {counts['changed']} changed, {counts['left']} left."
    )
    return redirect("admin:teams_user_changelist")


def _plan_page(request: HttpRequest, name: str, text: str, sheet: Sheet) -> HttpResponse:
    assert isinstance(request.user, User)
    plan = make_plan(sheet, by=request.user)
    given = (name, text, plan.digest)
    return _page(
        request,
        None,
        plan=plan,
        file=name,
        groups=_groups(plan),
        refused=len(plan.of(Outcome.REFUSED)),
        token=signing.dumps(given, salt=_salt(request), compress=True),
    )


def _groups(plan: Plan) -> list[tuple[str, int, list[Any]]]:
    """What is worth a look, the refused first: of each outcome the first `MOST_SHOWN`."""
    titles = {
        Outcome.REFUSED: "Refused",
        Outcome.MADE: "Would be made",
        Outcome.CHANGED: "Would be changed",
        Outcome.LEFT: "Left as they are",
    }
    found = [(title, plan.of(outcome)) for outcome, title in titles.items()]
    return [(title, len(entries), entries[:MOST_SHOWN]) for title, entries in found if entries]


def _salt(request: HttpRequest) -> str:
    """What one person looked at, nobody else confirms."""
    return f"{SALT}.{request.user.pk}"


def _page(request: HttpRequest, form: UploadForm | None, **more: Any) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Import people",
        "form": form,
        "columns": [(name, COLUMN_NOTES[name]) for name in COLUMNS],
        "most_rows": MOST_ROWS,
        "most_shown": MOST_SHOWN,
        **more,
    }
    is_faulty = form is not None and bool(form.errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if is_faulty else HTTPStatus.OK
    return render(request, "admin/teams/user/import.html", context, status=status)


urlpatterns = [
    path("admin/people/export.csv", admin.site.admin_view(export_page), name="people-export"),
    path("admin/people/import/", admin.site.admin_view(import_page), name="people-import"),
]
