"""Sign-in by password: the form, then the second factor; and links to a new password for who forgot it.

Between the two steps nobody is signed in: the session only remembers whose password was right, for a while, and as long
as it stays that password.
"""

import hmac
import time
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, auth, messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods
from django.views.generic import FormView, TemplateView

from openalert.exceptions import OpenAlertError
from teams import first_admin, invitation_links, invitations, passwords, qr_code, second_factor
from teams.models import User
from teams.sign_in_forms import CodeForm, FirstCodeForm, FirstPasswordForm, ResetForm, SetPasswordForm

from . import lock_out, provider
from .exceptions import LockedOut

BACKEND = "django.contrib.auth.backends.ModelBackend"
HALF_WAY = "half_signed_in"  # in the session
HALF_WAY_SECONDS = 15 * 60


class SignInView(auth_views.LoginView):
    """The form for passwords, unless only the provider is to be used, and the button that leads there."""

    redirect_authenticated_user = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Nobody could sign in while there is no administrator, except those whom the provider lets in."""
        if not provider.is_on() and first_admin.is_wanted():
            return redirect("set-up")
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        return super().get_context_data(
            **context,
            provider_name=settings.OIDC_NAME if provider.is_on() else "",
            is_local=settings.OIDC_LOCAL_SIGN_IN,
            needs_set_up=provider.is_on() and first_admin.is_wanted(),
        )

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        if second_factor.factor_of(user):
            half_sign_in(self.request, user, self.get_success_url())
            return redirect("login-code")
        if second_factor.is_wanted(user):
            second_factor.begin(user)
            half_sign_in(self.request, user, self.get_success_url())
            return redirect("login-set-up")
        return super().form_valid(form)


def half_sign_in(request: HttpRequest, user: User, address: str) -> None:
    request.session.cycle_key()
    request.session[HALF_WAY] = {
        "user": str(user.pk),
        "hash": user.get_session_auth_hash(),
        "at": time.time(),
        "next": address,
    }


def half_signed_in(request: HttpRequest) -> User | None:
    """Whose password was right a while ago."""
    found = request.session.get(HALF_WAY)
    if found is None or time.time() - found["at"] > HALF_WAY_SECONDS:
        return None
    user = User.objects.filter(pk=found["user"], is_active=True).first()
    if user is None or not hmac.compare_digest(found["hash"], user.get_session_auth_hash()):
        return None
    return user


def sign_in(request: HttpRequest, user: User) -> str:
    """The rest of the way. Gives the address that they wanted to see."""
    address: str = request.session.pop(HALF_WAY)["next"]
    auth.login(request, user, backend=BACKEND)
    return address


@never_cache
@csrf_protect
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def code_page(request: HttpRequest) -> HttpResponse:
    """The second step: a code."""
    user = half_signed_in(request)
    if user is None or second_factor.factor_of(user) is None:
        return redirect("login")
    form = CodeForm(request.POST or None)
    form.fields["code"].widget.attrs["autofocus"] = True
    if request.method == "POST" and form.is_valid():
        try:
            second_factor.check(user, form.cleaned_data["code"])
        except LockedOut as failure:
            return lock_out.refusal(request, failure)
        except OpenAlertError as failure:
            form.add_error("code", failure.detail)
        else:
            return redirect(sign_in(request, user))
    return render(
        request, "registration/code.html", {"form": form, "person": user}, status=422 if form.errors else 200
    )


@never_cache
@csrf_protect
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def set_up_page(request: HttpRequest) -> HttpResponse:
    """The second step of who has to have a second factor and has none: it is set up first."""
    user = half_signed_in(request)
    factor = second_factor.begun_of(user) if user else None
    if user is None or factor is None:
        return redirect("login")
    form = FirstCodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            codes = second_factor.confirm(user, form.cleaned_data["code"])
        except LockedOut as failure:
            return lock_out.refusal(request, failure)
        except OpenAlertError as failure:
            form.add_error("code", failure.detail)
        else:
            address = sign_in(request, user)
            return render(request, "registration/recovery_codes.html", {"codes": codes, "address": address})
    context = {"form": form, "qr": qr_code.for_factor(factor), "key": qr_code.key_in_words(factor)}
    return render(request, "registration/set_up.html", context, status=422 if form.errors else 200)


@never_cache
@require_GET
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """The admin has no form of its own: there is one door. Who is in already and may not use it is told so."""
    given = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        given, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    address = given if is_ours else reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': address})}")
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect(address)


class OnlyLocal:
    """Without passwords there are none to be forgotten."""

    http_method_names = ("get", "head", "post", "options")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.OIDC_LOCAL_SIGN_IN:
            raise Http404
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]


class ResetView(OnlyLocal, FormView):
    """Asks whom to mail a link. The answer is the same, whoever has the address and whether anybody does."""

    template_name = "registration/reset.html"
    form_class = ResetForm
    success_url = reverse_lazy("password-reset-sent")

    def form_valid(self, form: ResetForm) -> HttpResponse:
        passwords.ask_reset(form.cleaned_data["email"])
        return super().form_valid(form)


class ResetSentView(OnlyLocal, TemplateView):
    template_name = "registration/reset_sent.html"


# Django's own dispatch answers a link that is none whatever the method.
@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class ResetConfirmView(OnlyLocal, auth_views.PasswordResetConfirmView):
    """What the link opens. Django keeps its token in the session: it stays in no address that is sent on."""

    template_name = "registration/reset_confirm.html"
    form_class = SetPasswordForm
    success_url = reverse_lazy("password-reset-done")

    def get_user(self, uidb64: str) -> User | None:
        user = super().get_user(uidb64)
        return passwords.who_may_reset().filter(pk=user.pk).first() if user else None


class InvitationView(ResetConfirmView):
    """What the link in an invitation opens."""

    template_name = "registration/invitation.html"
    form_class = FirstPasswordForm
    token_generator = invitation_links.InvitationTokens()

    def get_user(self, uidb64: str) -> User | None:
        user = auth_views.PasswordResetConfirmView.get_user(self, uidb64)
        return invitations.who_may_be_invited().filter(pk=user.pk).first() if user else None

    def get_success_url(self) -> str:
        messages.success(self.request, "Your password is chosen. Sign in with it.")
        return reverse("login")


class ResetDoneView(OnlyLocal, TemplateView):
    template_name = "registration/reset_done.html"
