"""What people fill in about their passwords and second factors."""

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.forms import SetPasswordForm as DjangoSetPasswordForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from openalert.admin_tools import AdminPasswordChangeForm, dress

from . import passwords
from .identity import lock_out
from .models import User


def code_input() -> forms.TextInput:
    return forms.TextInput(
        attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
    )


class CodeForm(forms.Form):
    """A code of the app, or a recovery code."""

    code = forms.CharField(
        max_length=40,
        widget=code_input(),
        help_text="Six digits from your authenticator app, or a recovery code.",
    )


class FirstCodeForm(CodeForm):
    code = forms.CharField(
        max_length=40, widget=code_input(), help_text="The six digits that the app shows now."
    )


class OwnPasswordForm(forms.Form):
    """Asks who is signed in for their password once more."""

    password = forms.CharField(
        strip=False, max_length=4096, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self.request = request

    def clean_password(self) -> str:
        password = self.cleaned_data["password"]
        if not lock_out.is_password(self.request, self.request.user, password):
            raise ValidationError("That is not your password.")
        return password


class PasswordAndCodeForm(OwnPasswordForm):
    code = forms.CharField(
        max_length=40,
        widget=code_input(),
        help_text="Six digits from your authenticator app, or a recovery code.",
    )


class PasswordForm(PasswordChangeForm):
    """A new password in place of the old one."""

    def __init__(self, *args: Any, request: HttpRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self.request = request

    def clean_old_password(self) -> str:
        if not lock_out.is_password(self.request, self.user, self.cleaned_data["old_password"]):
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return self.cleaned_data["old_password"]

    def save(self, commit: bool = True) -> User:
        passwords.set_password(self.user, self.cleaned_data["new_password1"], how="changed")
        return self.user


class ResetForm(forms.Form):
    """Whom to mail a link."""

    email = forms.EmailField(
        max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )


class SetPasswordForm(DjangoSetPasswordForm):
    """A new password, by the link."""

    def save(self, commit: bool = True) -> User:
        passwords.reset(self.user, self.cleaned_data["new_password1"])
        return self.user


class FirstPasswordForm(DjangoSetPasswordForm):
    """A password to begin with, by the link in an invitation."""

    def save(self, commit: bool = True) -> User:
        passwords.reset(self.user, self.cleaned_data["new_password1"], how="chosen")
        return self.user


class AdminPasswordForm(AdminPasswordChangeForm):
    """An administrator gives somebody a new password, or none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        dress(self.fields)

    @transaction.atomic
    def save(self, commit: bool = True) -> User:
        user = super().save(commit=commit)
        if commit:
            what = "set" if user.has_usable_password() else "removed"
            passwords.after_new_password(user, how=f"{what}_by_administrator")
        return user
