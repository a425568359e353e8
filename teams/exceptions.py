"""Named failures of the teams app."""

from openalert.exceptions import OpenAlertError


class EndsBeforeStart(OpenAlertError):
    code = "ends_before_start"
    detail = "It must end after it starts."


class OverrideInThePast(OpenAlertError):
    code = "override_in_the_past"
    detail = "It must end in the future: what has been is not rewritten."


class NotAResponder(OpenAlertError):
    """Only those who may answer a page may be put on call."""

    code = "not_a_responder"
    detail = "Choose a responder or a manager of the team."


class DependsOnItself(OpenAlertError):
    code = "depends_on_itself"
    detail = "A service cannot depend on itself."


class DependencyExists(OpenAlertError):
    code = "dependency_exists"
    status = 409

    def __init__(self, *, service: object, upstream: object) -> None:
        super().__init__(f"{service} depends on {upstream} already.", field="upstream")


class DependencyCycle(OpenAlertError):
    """Neither of two services can be upstream of the other when both are."""

    code = "dependency_cycle"
    status = 409

    def __init__(self, *, service: object, upstream: object) -> None:
        super().__init__(f"{upstream} itself depends on {service}, maybe through others.", field="upstream")


class OverrideIsOver(OpenAlertError):
    code = "override_is_over"
    detail = "This override is over, and stays as it was."
    status = 409


class LayerIsGone(OpenAlertError):
    """Somebody else removed or changed it meanwhile."""

    code = "layer_is_gone"
    detail = "This layer was changed or removed meanwhile. Look again."
    status = 409


class NotOnCallThen(OpenAlertError):
    """Only what somebody has can be swapped."""

    code = "not_on_call_then"
    status = 409

    def __init__(self, user: object, *, field: str | None = None) -> None:
        super().__init__(f"{user} is not on call for all of that time.", field=field)


class SwapWithOneself(OpenAlertError):
    code = "swap_with_oneself"
    detail = "Choose somebody else."


class ReturnNeedsSomebody(OpenAlertError):
    code = "return_needs_somebody"
    detail = "A shift in return is somebody's: say whose."


class SwapIsOver(OpenAlertError):
    code = "swap_is_over"
    status = 409

    def __init__(self, status: str) -> None:
        super().__init__(
            f"This request was {status.lower()} already."
            if status != "expired"
            else "This request has expired."
        )


class CalendarUnreadable(OpenAlertError):
    """A calendar elsewhere could not be fetched or is none; the words say why."""

    code = "calendar_unreadable"


class NotYours(OpenAlertError):
    code = "permission_denied"
    detail = "Only who wrote it and the team's managers may remove it."
    status = 403


class SpanTooLong(OpenAlertError):
    code = "span_too_long"
    detail = "At most 92 days at once."


class InvalidToken(OpenAlertError):
    """Unknown, over, revoked, or of somebody who may not sign in."""

    code = "token_not_valid"
    detail = "This token is not valid."
    status = 401


class ScopeMissing(OpenAlertError):
    """An API token is used for what it was not made for."""

    code = "scope_missing"
    detail = "This token's scopes do not allow this."
    status = 403


class UnknownScope(OpenAlertError):
    code = "unknown_scope"
    detail = "Choose at least one scope, of those that there are."

    def __init__(self) -> None:
        super().__init__(field="scopes")


class EndsInThePast(OpenAlertError):
    code = "ends_in_the_past"
    detail = "It must end in the future."

    def __init__(self) -> None:
        super().__init__(field="expires_at")


class TooManyTokens(OpenAlertError):
    code = "too_many_tokens"
    detail = "There are fifty tokens already: revoke some first."
    status = 409


class NotTheSetUpCode(OpenAlertError):
    code = "not_the_set_up_code"
    detail = "This is not the set-up code."
    status = 403


class SetUpAlready(OpenAlertError):
    """Somebody else was quicker, or it was done long ago."""

    code = "set_up_already"
    detail = "There is an administrator already."
    status = 404


class ServiceInUse(OpenAlertError):
    code = "in_use"
    detail = "It has had incidents or rules lead to it: these are kept, and their service with them."
    status = 409
