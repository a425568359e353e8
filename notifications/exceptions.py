"""Named failures of the notifications app."""

from datetime import timedelta

from openalert.exceptions import OpenAlertError


class DeliveryError(Exception):
    """A transport could not hand a message over.

    `permanent`: trying again is no use. `retry_after`: the provider wants its account to pause for so long.
    `breaks_method`: the address itself is no good (invalid, blocked, unsubscribed), for any message.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool = False,
        retry_after: timedelta | None = None,
        breaks_method: bool = False,
    ) -> None:
        super().__init__(detail)
        self.permanent = permanent or breaks_method
        self.retry_after = retry_after
        self.breaks_method = breaks_method


class ContactMethodDisabled(OpenAlertError):
    code = "contact_method_disabled"
    detail = "This contact method is switched off."
    status = 409


class TooManyTestPages(OpenAlertError):
    code = "too_many_test_pages"
    detail = "These were many test pages. Wait a minute."
    status = 429


class NotAnOperator(OpenAlertError):
    """Only those who look after the installation may do this."""

    code = "permission_denied"
    detail = "Only operators may do this: superusers and the responders of an operations team."
    status = 403


class NoSuchProvider(OpenAlertError):
    code = "not_found"
    detail = "There is no such provider."
    status = 404
