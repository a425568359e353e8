"""Named failures of the notifications app."""

from openalert.exceptions import OpenAlertError


class DeliveryError(Exception):
    """A transport could not hand a message over. `permanent`: trying again is no use."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class ContactMethodDisabled(OpenAlertError):
    code = "contact_method_disabled"
    detail = "This contact method is switched off."
    status = 409


class TooManyTestPages(OpenAlertError):
    code = "too_many_test_pages"
    detail = "These were many test pages. Wait a minute."
    status = 429
