"""One's own second factor: set up, new recovery codes, turned off."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from openalert.exceptions import OpenAlertError

from . import qr_code, second_factor
from .identity import lock_out
from .identity.exceptions import LockedOut
from .sign_in_forms import CodeForm, FirstCodeForm, OwnPasswordForm, PasswordAndCodeForm


@login_required
@never_cache
@require_GET
def second_factor_page(request: HttpRequest) -> HttpResponse:
    return show(request)


def show(request: HttpRequest, **forms_given: forms.Form) -> HttpResponse:
    """The page as things stand; a form that was refused in its place."""
    user = request.user
    context: dict[str, Any] = {"has_password": user.has_usable_password()}
    if factor := second_factor.factor_of(user):
        context |= {
            "factor": factor,
            "codes_left": second_factor.codes_left(factor),
            "is_wanted": second_factor.is_wanted(user),
            "codes_form": CodeForm(prefix="codes"),
            "off_form": PasswordAndCodeForm(request=request, prefix="off"),
        }
    elif begun := second_factor.begun_of(user):
        context |= {
            "qr": qr_code.for_factor(begun),
            "key": qr_code.key_in_words(begun),
            "first_form": FirstCodeForm(),
        }
    else:
        context |= {"begin_form": OwnPasswordForm(request=request)}
    return render(
        request, "teams/second_factor.html", context | forms_given, status=422 if forms_given else 200
    )


def show_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "teams/recovery_codes.html", {"codes": codes})


@login_required
@never_cache
@sensitive_post_parameters()
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    form = OwnPasswordForm(request.POST, request=request)
    if not form.is_valid():
        return show(request, begin_form=form)
    try:
        second_factor.begin(request.user)
    except OpenAlertError as failure:
        messages.error(request, failure.detail)
    return redirect("second-factor")


@login_required
@never_cache
@sensitive_post_parameters()
@require_POST
def confirm(request: HttpRequest) -> HttpResponse:
    form = FirstCodeForm(request.POST)
    if form.is_valid():
        try:
            codes = second_factor.confirm(request.user, form.cleaned_data["code"])
        except LockedOut as failure:
            return lock_out.refusal(request, failure)
        except OpenAlertError as failure:
            form.add_error("code", failure.detail)
        else:
            update_session_auth_hash(request, request.user)
            return show_codes(request, codes)
    return show(request, first_form=form)


@login_required
@never_cache
@sensitive_post_parameters()
@require_POST
def renew_codes(request: HttpRequest) -> HttpResponse:
    form = CodeForm(request.POST, prefix="codes")
    if form.is_valid():
        try:
            return show_codes(request, second_factor.renew_codes(request.user, form.cleaned_data["code"]))
        except LockedOut as failure:
            return lock_out.refusal(request, failure)
        except OpenAlertError as failure:
            form.add_error("code", failure.detail)
    return show(request, codes_form=form)


@login_required
@never_cache
@sensitive_post_parameters()
@require_POST
def turn_off(request: HttpRequest) -> HttpResponse:
    """Who has to have one sets up another one at the next sign-in."""
    form = PasswordAndCodeForm(request.POST, request=request, prefix="off")
    if form.is_valid():
        try:
            second_factor.turn_off(request.user, form.cleaned_data["code"])
        except LockedOut as failure:
            return lock_out.refusal(request, failure)
        except OpenAlertError as failure:
            form.add_error("code", failure.detail)
        else:
            messages.success(request, "The second factor is off")
            return redirect("second-factor")
    return show(request, off_form=form)
