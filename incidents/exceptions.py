"""Named failures of the incidents app."""

from openalert.exceptions import OpenAlertError


class InvalidTransition(OpenAlertError):
    """The incident's status does not allow the step that was asked for."""

    code = "invalid_transition"
    status = 409

    def __init__(self, *, number: int, status: str, wanted: str) -> None:
        super().__init__(f"Incident {number} is {status}: it cannot become {wanted}.")


class SnoozeInThePast(OpenAlertError):
    code = "snooze_in_the_past"
    detail = "The snooze must end in the future."
    status = 400


class EmptyNote(OpenAlertError):
    code = "empty_note"
    detail = "A note needs some text."
    status = 400
