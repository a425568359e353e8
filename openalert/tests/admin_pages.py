"""The admin as tests ask for it: addresses, what it says, and the fields of an inline's rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse
from django.urls import reverse


def page(name: str, *args: Any) -> str:
    """The address of one of the admin's pages, by its name without `admin:`."""
    return reverse(f"admin:{name}", args=args)


def messages(response: HttpResponse) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def rows(
    prefix: str, existing: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]] = (), **fields: Any
) -> dict[str, Any]:
    """The management form and the rows of an inline, and other fields of the page."""
    form = {f"{prefix}-TOTAL_FORMS": len(existing) + len(new), f"{prefix}-INITIAL_FORMS": len(existing)}
    for number, values in enumerate([*existing, *new]):
        form |= {f"{prefix}-{number}-{name}": value for name, value in values.items()}
    return form | fields
