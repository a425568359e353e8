"""The page behind an answer link. To open it asks; its button, or a POST by our service worker, acts."""

from collections.abc import Mapping
from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from notifications import answer_links, bundles, replies
from notifications.answer_links import AnswerLink
from notifications.enums import Action, Channel, Purpose, ReplyOutcome
from notifications.models import Notification
from teams.models import User

TEMPLATE = "notifications/answer.html"
FAILED = (ReplyOutcome.REFUSED, ReplyOutcome.STRANGER)
USED = "This link has been used."


@csrf_exempt  # the token is what proves the right to act; where it does not, the session must, and is protected
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, token: str) -> HttpResponse:
    link = answer_links.read(token)
    page = _page(link) if link else None
    if link is None or page is None or (page.incident is None and page.purpose != Purpose.TEST):
        words = "This link is not valid, or too old. Open the incident to answer it."
        return _told(request, {"outcome": "refused", "answer": words}, status=410)
    if link.is_personal:
        return _answer(request, link, page, page.user, key=f"link:{page.pk}:{link.action}")
    return _answer_signed_in(request, link, page)


def _page(link: AnswerLink) -> Notification | None:
    pages = Notification.objects.select_related("user", "incident__service")
    return pages.filter(pk=link.notification_id).first()


@login_required
@csrf_protect
def _answer_signed_in(request: HttpRequest, link: AnswerLink, page: Notification) -> HttpResponse:
    user = cast(User, request.user)
    return _answer(request, link, page, user, key=f"link:{page.pk}:{link.action}:{user.pk}")


def _answer(
    request: HttpRequest, link: AnswerLink, page: Notification, user: User, *, key: str
) -> HttpResponse:
    if request.method != "POST":
        incidents = bundles.incidents_of(bundles.sent_with(page)) if link.action == Action.ACKNOWLEDGE else []
        asked = {"incident": page.incident, "incidents": incidents, "person": user, "action": link.action}
        return _told(request, asked)
    pk: UUID = page.pk
    reply, is_new = replies.take_action(
        channel=Channel(page.channel),
        key=key,
        sender=page.address if link.is_personal else user.email,
        notification_id=pk,
        action=link.action,
        user=user,
        text=f"link: {link.action}",
    )
    words = reply.answer if is_new else f"{USED} {reply.answer}"
    told = {"outcome": reply.outcome, "answer": words, "incident": page.incident, "person": user}
    return _told(request, told, status=403 if reply.outcome in FAILED else 200)


def _told(request: HttpRequest, context: Mapping[str, object], status: int = 200) -> HttpResponse:
    if request.method == "POST" and request.accepts("application/json") and not request.accepts("text/html"):
        return JsonResponse({name: context[name] for name in ("outcome", "answer")}, status=status)
    response = render(request, TEMPLATE, dict(context), status=status)
    response.headers["Referrer-Policy"] = "no-referrer"  # the address is a secret
    response.headers["X-Robots-Tag"] = "noindex"
    return response
