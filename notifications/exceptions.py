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


class ContactMethodUnverified(OpenAlertError):
    code = "contact_method_unverified"
    detail = "Nothing is sent to this contact method until its code has been typed in."
    status = 409


class ContactMethodVerified(OpenAlertError):
    code = "contact_method_verified"
    detail = "This contact method is verified already."
    status = 409


class TransportOff(OpenAlertError):
    """This installation cannot send by the channel."""

    code = "transport_off"
    detail = "This installation does not send by this way."
    status = 409


class TooManyCodes(OpenAlertError):
    code = "too_many_codes"
    detail = "These were many codes. Wait a while before you ask for another."
    status = 429


class CodeExpired(OpenAlertError):
    code = "code_expired"
    detail = "This code is too old, or another was sent since. Ask for a new one."


class TooManyTries(OpenAlertError):
    code = "too_many_tries"
    detail = "That was wrong too often. Ask for a new code."


class WrongCode(OpenAlertError):
    code = "wrong_code"

    def __init__(self, *, tries_left: int) -> None:
        tries = "1 try is" if tries_left == 1 else f"{tries_left} tries are"
        super().__init__(f"This is not the code. {tries} left.", field="code")


class BadSignature(OpenAlertError):
    """A request does not prove who sent it."""

    code = "bad_signature"
    detail = "The signature is missing, wrong or too old."
    status = 403


class WebhookDisabled(OpenAlertError):
    code = "webhook_disabled"
    detail = "This webhook is switched off."
    status = 409
