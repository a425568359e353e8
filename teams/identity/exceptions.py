"""Why a sign-in through the provider is refused. Each is told to the person in its words."""

from http import HTTPStatus

from openalert.exceptions import OpenAlertError


class SignInRefused(OpenAlertError):
    """`user` is whom it would have been, when that is known."""

    code = "sign_in_refused"
    detail = "This sign-in could not be finished. Begin again."
    status = 403

    def __init__(self, detail: str | None = None, *, user: object = None, tried: str = "") -> None:
        super().__init__(detail)
        self.user, self.tried = user, tried


class ProviderAway(OpenAlertError):
    code = "identity_provider_away"
    detail = "The identity provider does not answer. Try again in a minute."
    status = HTTPStatus.FAILED_DEPENDENCY  # the service worker takes 502 and 503 for our own being away


class ProviderWrong(OpenAlertError):
    """The provider answers, but not as it should: the set-up has to be looked at."""

    code = "identity_provider_wrong"
    status = HTTPStatus.FAILED_DEPENDENCY

    def __init__(self, detail: str) -> None:
        super().__init__(f"The identity provider is not set up rightly. {detail}")


class LockedOut(OpenAlertError):
    """Too many wrong passwords or codes. `wait`: for how many seconds."""

    code = "locked_out"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many failures. Sign-in to this account waits for {minutes(wait)}.")
        self.wait = wait


class SecondFactorRequired(OpenAlertError):
    code = "second_factor_required"
    detail = "This account has a second factor: send the code of the authenticator app, or a recovery code, as otp."
    status = HTTPStatus.UNAUTHORIZED


class SecondFactorWrong(OpenAlertError):
    code = "second_factor_wrong"
    detail = "That is not the code, or it was used before. Wait for the next one."
    status = HTTPStatus.UNAUTHORIZED


class SecondFactorNotSetUp(OpenAlertError):
    code = "second_factor_not_set_up"
    detail = "A second factor is required of this account. Sign in on the page once to set it up."
    status = HTTPStatus.FORBIDDEN


class SecondFactorOn(OpenAlertError):
    code = "second_factor_on"
    detail = "The second factor is on already."
    status = HTTPStatus.CONFLICT


def minutes(seconds: int) -> str:
    count = max(1, -(-seconds // 60))
    return "a minute" if count == 1 else f"{count} minutes"
