"""To the provider and back, and out again."""

import logging
import time
from typing import Any
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.contrib import auth
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from openalert.audit.log import record
from openalert.exceptions import OpenAlertError
from teams import first_admin

from . import provider
from .backend import FromProvider
from .exceptions import ProviderAway, ProviderWrong, SignInRefused

log = logging.getLogger(__name__)

BACKEND = "teams.identity.backend.OpenIDConnectBackend"
CONFIRMED_AT = "oidc_confirmed_at"  # in the session: seconds since 1970
ID_TOKEN = "oidc_id_token"  # noqa: S105
# The provider would have to ask the person something, which it may not while a session is renewed.
ASKS = ("login_required", "interaction_required", "consent_required", "account_selection_required")


class SignInView(LoginView):
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


class BeginView(FromProvider, OIDCAuthenticationRequestView):
    """Goes to the provider, with state, nonce and PKCE."""

    is_silent = False  # the provider answers by what it knows, without asking the person
    address = ""  # where to go afterwards; "" for what the request says

    def __init__(self, **options: Any) -> None:
        """Not the library's, which wants the endpoints now."""
        super(OIDCAuthenticationRequestView, self).__init__(**options)
        self.OIDC_RP_CLIENT_ID = self.get_settings("OIDC_RP_CLIENT_ID")

    @property
    def OIDC_OP_AUTH_ENDPOINT(self) -> str:
        return self.get_settings("OIDC_OP_AUTHORIZATION_ENDPOINT")

    def get(self, request: HttpRequest) -> HttpResponse:
        if not provider.is_on():
            raise Http404
        try:
            response = super().get(request)
        except (ProviderAway, ProviderWrong) as failure:
            return refusal(request, failure)
        asked_for = request.session.pop("oidc_login_next", None)
        states = request.session["oidc_states"]
        # By state: several windows go to the provider beside each other.
        states[max(states, key=lambda state: states[state]["added_on"])]["next"] = self.address or asked_for
        return response

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        return {"prompt": "none"} if self.is_silent else {}


class CallbackView(FromProvider, OIDCAuthenticationCallbackView):
    """The person comes back from the provider."""

    address: str | None = None

    @property
    def success_url(self) -> str:
        return self.address or resolve_url(settings.LOGIN_REDIRECT_URL)

    def get(self, request: HttpRequest) -> HttpResponse:
        if not provider.is_on():
            raise Http404
        state = request.session.get("oidc_states", {}).get(request.GET.get("state"))
        if state is None:  # somebody else's link, or it was used before: nobody is signed out by it
            return refusal(request, SignInRefused())
        self.address = state.get("next")
        try:
            if error := request.GET.get("error"):
                return self.declined(request, error)
            return super().get(request)
        except (SignInRefused, ProviderAway, ProviderWrong) as failure:
            return self.refused(request, failure)
        except requests.HTTPError as error:
            is_ours = error.response is not None and error.response.status_code < 500
            log.warning("oidc_exchange_failed: %s", getattr(error.response, "status_code", None))
            return self.refused(
                request, ProviderWrong("It does not take our request.") if is_ours else ProviderAway()
            )
        except requests.RequestException:
            return self.refused(request, ProviderAway())
        except SuspiciousOperation:
            return self.refused(request, SignInRefused())

    def declined(self, request: HttpRequest, error: str) -> HttpResponse:
        was_signed_in = request.user.is_authenticated
        super().get(request)  # drops the state, and ends the session
        if error in ASKS and was_signed_in:
            return redirect(f"{reverse('login')}?{urlencode({'next': self.success_url})}")
        return refusal(request, SignInRefused("The identity provider did not sign you in."))

    def refused(self, request: HttpRequest, failure: OpenAlertError) -> HttpResponse:
        """A session that was to be renewed ends, but not because the provider is away just now."""
        if isinstance(failure, SignInRefused):
            record("sign_in_failed", failure.user, tried=failure.tried, reason=failure.detail)
            if request.user.is_authenticated:
                auth.logout(request)
        return refusal(request, failure)

    def login_success(self) -> HttpResponse:
        response = super().login_success()
        self.request.session[CONFIRMED_AT] = time.time()
        self.request.session[ID_TOKEN] = self.request.id_token
        return response

    def login_failure(self) -> HttpResponse:
        return refusal(self.request, SignInRefused())


class SignOutView(LogoutView):
    """Signs out here, and at the provider of who came from there (OpenID Connect RP-Initiated Logout 1.0)."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        elsewhere = end_session_address(request)
        response = super().post(request, *args, **kwargs)
        return redirect(elsewhere) if elsewhere else response


def end_session_address(request: HttpRequest) -> str:
    """Where the session at the provider ends; "" when there is none or the provider is away."""
    if not provider.is_on() or request.session.get(BACKEND_SESSION_KEY) != BACKEND:
        return ""
    try:
        endpoint = provider.metadata().get("end_session_endpoint")
    except (ProviderAway, ProviderWrong):
        return ""
    if not endpoint:
        return ""
    back = request.build_absolute_uri(resolve_url(settings.LOGOUT_REDIRECT_URL))
    query = {"post_logout_redirect_uri": back, "client_id": settings.OIDC_RP_CLIENT_ID}
    if token := request.session.get(ID_TOKEN):
        query["id_token_hint"] = token
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def refusal(request: HttpRequest, failure: OpenAlertError) -> HttpResponse:
    """A page that says why."""
    return render(request, "registration/refused.html", {"failure": failure}, status=failure.status)
