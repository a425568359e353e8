"""The page of dead letters: what failed for good, to be sent again or put away; and how the providers fare."""

from collections.abc import Callable, Iterable
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from openalert.answers import done

from . import dead_letters
from .models import ProviderAccount

CHANGED = "dead-letters-changed"  # the list listens for it
PAGE_SIZE = 50


@login_required
@require_GET
def letters(request: HttpRequest) -> HttpResponse:
    """The dead letters that the person may deal with, newest first."""
    rows = (
        dead_letters.visible_to(request.user)
        .select_related("user", "incident__service")
        .prefetch_related("attempts")
        .order_by("-updated_at", "-pk")
    )
    context = {
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "troubled": troubled_accounts(),
        "is_operator": dead_letters.is_operator(request.user),
    }
    return render(request, "notifications/dead_letters.html", context)


def troubled_accounts() -> list[ProviderAccount]:
    """The provider accounts that nothing is handed to at present, or that have just failed."""
    now = timezone.now()
    troubled = Q(paused_until__gt=now) | Q(open_until__isnull=False) | Q(failures__gt=0)
    return list(ProviderAccount.objects.filter(troubled))


@login_required
@require_POST
def replay(request: HttpRequest) -> HttpResponse:
    return _change(request, dead_letters.replay, "sent again")


@login_required
@require_POST
def discard(request: HttpRequest) -> HttpResponse:
    return _change(request, dead_letters.discard, "put away")


def _change(request: HttpRequest, change: Callable[..., int], what: str) -> HttpResponse:
    """Do it to the letter whose button was pressed (`only`), or else to those that are ticked (`id`)."""
    given = request.POST.getlist("only") or request.POST.getlist("id")
    count = change(_ids(given), by=request.user)
    title = f"{count} dead letter{'' if count == 1 else 's'} {what}" if count else "Nothing was chosen"
    return done(request, title, to=reverse("dead-letters"), changed=CHANGED)


def _ids(given: Iterable[str]) -> list[UUID]:
    ids = []
    for value in given:
        try:
            ids.append(UUID(value))
        except ValueError:
            continue
    return ids
