"""The mailbox of an installation that delivers its emails to itself."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp, csp_update
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from teams.access import may_administer

from . import queries
from .mailbox import is_in_use

PAGE_SIZE = 50
MOST_RECIPIENTS = 200
# A mail is shown as a mail program would: with the styles on its elements, without scripts, loading nothing from anywhere.
LETTER = {
    "default-src": [NONE],
    "style-src-attr": [UNSAFE_INLINE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],
}


def only_when_in_use(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def checked(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if not is_in_use():
            raise Http404
        return view(request, **arguments)

    return checked


@login_required
@require_GET
@only_when_in_use
def mailbox(request: HttpRequest) -> HttpResponse:
    """The person's mails, newest first; administrators see everybody's and may ask for one `recipient`'s."""
    mails = queries.mails_visible_to(request.user)
    recipients: list[str] = []
    wanted = ""
    if may_administer(request.user):
        names = mails.order_by("recipient").values_list("recipient", flat=True).distinct()
        recipients = list(names[:MOST_RECIPIENTS])
        wanted = request.GET.get("recipient", "")
        if wanted:
            mails = mails.filter(recipient__iexact=wanted)
    page = Paginator(mails.defer("text", "html"), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "recipients": recipients, "wanted": wanted}
    return render(request, "notifications/mailbox.html", context)


@csp_update({"frame-src": [SELF]})
@login_required
@require_GET
@only_when_in_use
def mailbox_message(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One mail, as HTML in a frame that can do nothing, or with `as=text` as text."""
    mail = get_object_or_404(queries.mails_visible_to(request.user), pk=pk)
    is_html = bool(mail.html) and request.GET.get("as") != "text"
    return render(request, "notifications/mailbox_message.html", {"mail": mail, "is_html": is_html})


@csp(LETTER)
@xframe_options_sameorigin
@login_required
@require_GET
@only_when_in_use
def mailbox_letter(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The HTML of one mail, for the frame on its page."""
    mail = get_object_or_404(queries.mails_visible_to(request.user), pk=pk)
    return HttpResponse(f'<base target="_blank">{mail.html}')
