"""Turns whatever a REST view raises into openalert.error_shape."""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError
from django.db.models import ProtectedError, RestrictedError
from drf_standardized_errors.formatter import ExceptionFormatter, flatten_errors
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework import exceptions
from rest_framework.fields import get_error_detail

from openalert import correlation_id
from openalert.error_shape import Error, error, error_body, error_type
from openalert.exceptions import OpenAlertError

from .exceptions import Conflict

NON_FIELD = "non_field_errors"


class NamedFailure(exceptions.APIException):
    """An OpenAlertError on its way out."""

    def __init__(self, failure: OpenAlertError) -> None:
        super().__init__(failure.detail, failure.code)
        self.status_code = failure.status
        self.field = failure.field


class Handler(ExceptionHandler):
    """Knows our own failures, the database's and the models', beside DRF's."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, OpenAlertError):
            return NamedFailure(exc)
        if isinstance(exc, ProtectedError | RestrictedError):
            return Conflict(in_use(exc), "in_use")
        if isinstance(exc, IntegrityError):
            return Conflict()
        if isinstance(exc, DjangoValidationError):
            return exceptions.ValidationError(get_error_detail(exc))
        return super().convert_known_exceptions(exc)

    def convert_unhandled_exceptions(self, exc: Exception) -> exceptions.APIException:
        if isinstance(exc, exceptions.APIException):
            return exc
        return exceptions.APIException("Something went wrong on our side.")


def in_use(exc: ProtectedError | RestrictedError) -> str:
    holders = exc.protected_objects if isinstance(exc, ProtectedError) else exc.restricted_objects
    names = sorted({str(holder._meta.verbose_name_plural) for holder in holders})
    return f"It is still in use by {', '.join(names)}: remove or move those first."


class Formatter(ExceptionFormatter):
    def run(self) -> dict[str, Any]:
        errors = self.errors()
        return error_body(
            type="validation_error"
            if isinstance(self.exc, exceptions.ValidationError)
            else error_type(self.exc.status_code, field=errors[0]["field"]),
            errors=errors,
            correlation_id=correlation_id.current.get(),
        )

    def errors(self) -> list[Error]:
        if isinstance(self.exc, exceptions.ValidationError):
            return [
                error(e.code, e.detail, field=field_name(e.attr)) for e in flatten_errors(self.exc.detail)
            ]
        detail: Any = self.exc.detail
        # simplejwt's errors are dictionaries that repeat themselves.
        code = detail.get("code") if isinstance(detail, dict) else None
        message = detail["detail"] if isinstance(detail, dict) else detail
        return [error(str(code or message.code), str(message), field=getattr(self.exc, "field", None))]


def field_name(attr: str | None) -> str | None:
    """`steps.0.non_field_errors` is steps.0; the input as a whole is None."""
    return ".".join(part for part in (attr or "").split(".") if part not in (NON_FIELD, "__all__")) or None
