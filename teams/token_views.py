"""The page of API tokens: one's own, and those of the teams that one manages."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from openalert.exceptions import OpenAlertError

from . import api_tokens
from .token_forms import ApiTokenForm


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def token_page(request: HttpRequest) -> HttpResponse:
    """GET lists them, with a form for another; POST makes it, and shows it once."""
    form = ApiTokenForm(request.POST or None, user=request.user)
    made, text = None, ""
    if request.method == "POST" and form.is_valid():
        try:
            made, text = api_tokens.create_token(by=request.user, **form.wanted)
            form = ApiTokenForm(user=request.user)
        except OpenAlertError as failure:
            form.add_error(failure.field if failure.field in form.fields else None, failure.detail)
    now = timezone.now()
    tokens = list(api_tokens.visible_to(request.user).filter(revoked_at=None).order_by("-created_at"))
    context = {
        "form": form,
        "made": made,
        "text": text,
        "tokens": [(token, token.is_in_force(now)) for token in tokens],
    }
    return render(request, "teams/tokens.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def revoke_token(request: HttpRequest, pk: UUID) -> HttpResponse:
    token = get_object_or_404(api_tokens.visible_to(request.user), pk=pk)
    api_tokens.revoke_token(token.pk, by=request.user)
    messages.success(request, f"{token} is revoked")
    return redirect("api-tokens")


@login_required
@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """All but this browser."""
    api_tokens.sign_out_everywhere(request.user)
    update_session_auth_hash(request, request.user)
    messages.success(request, "Other browsers and programs with access tokens are signed out")
    return redirect("api-tokens")
