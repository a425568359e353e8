"""The page on which the first administrator is made; it is not there once somebody could have made it."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from openalert.audit.log import record

from . import first_admin
from .exceptions import NotTheSetUpCode, SetUpAlready
from .forms import zone_field
from .identity import provider
from .models import User

LOCAL = "django.contrib.auth.backends.ModelBackend"


class FirstAdminForm(forms.Form):
    """Without passwords where only the identity provider signs people in."""

    code = forms.CharField(
        max_length=200,
        label="Set-up code",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="It stands in the log of the web process, at its start.",
    )
    name = forms.CharField(
        max_length=120, label="Your name", widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    email = forms.EmailField(
        max_length=254,
        label="Your email address",
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autocapitalize": "none"}),
    )
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        strip=False,
    )
    repeated = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        strip=False,
        label="The password again",
    )
    time_zone = zone_field(help_text="Times are shown to you on this clock.")

    def __init__(self, data: Any = None, *, is_local: bool) -> None:
        super().__init__(data)
        if data is None:
            self.fields["time_zone"].widget.attrs["data-own-time-zone"] = ""
        if is_local:
            self.fields["password"].help_text = " ".join(password_validation.password_validators_help_texts())
        else:
            del self.fields["password"], self.fields["repeated"]
            self.fields[
                "email"
            ].help_text = "The one that the identity provider knows you by, and has verified."

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        password, repeated = given.get("password"), given.get("repeated")
        if password:
            person = User(name=given.get("name", ""), email=given.get("email", ""))
            try:
                password_validation.validate_password(password, person)
            except ValidationError as failure:
                self.add_error("password", failure)
            if repeated and password != repeated:
                self.add_error("repeated", "The two are not the same.")
        return given


@never_cache
@sensitive_post_parameters("code", "password", "repeated")
@require_http_methods(["GET", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    if not first_admin.is_wanted():
        raise Http404
    is_local = settings.OIDC_LOCAL_SIGN_IN
    form = FirstAdminForm(request.POST if request.method == "POST" else None, is_local=is_local)
    if request.method == "POST" and form.is_valid():
        given = {name: value for name, value in form.cleaned_data.items() if name != "repeated"}
        try:
            user = first_admin.make(**given)
        except NotTheSetUpCode as failure:
            record("first_administrator_refused")
            form.add_error("code", failure.detail)
        except SetUpAlready as failure:
            raise Http404 from failure
        except ValidationError as failure:
            form.add_error(None, " ".join(failure.messages))
        else:
            return _welcome(request, user, by_password=is_local and user.has_usable_password())
    context = {"form": form, "provider_name": settings.OIDC_NAME if provider.is_on() else ""}
    return render(request, "registration/first_admin.html", context, status=422 if form.errors else 200)


def _welcome(request: HttpRequest, user: User, *, by_password: bool) -> HttpResponse:
    if by_password:
        auth.login(request, user, backend=LOCAL)
        return redirect(settings.LOGIN_REDIRECT_URL)
    messages.success(request, f"{user} is the administrator. Sign in with {settings.OIDC_NAME}.")
    return redirect("login")
