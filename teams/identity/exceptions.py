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
