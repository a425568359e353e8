"""Named failures of the incidents app."""

from openalert.exceptions import OpenAlertError


class InvalidTransition(OpenAlertError):
    """The incident's status does not allow the step that was asked for."""

    code = "invalid_transition"
    status = 409

    def __init__(self, *, number: int, status: str, wanted: str) -> None:
        super().__init__(f"Incident {number} is {status}: it cannot become {wanted}.")


class IncidentMerged(OpenAlertError):
    """The incident goes on in another one: nothing can be done with it by itself."""

    code = "incident_merged"
    status = 409

    def __init__(self, *, number: int, into: int) -> None:
        super().__init__(f"Incident {number} was merged into {into}: it goes on there.")


class IncidentIsOver(OpenAlertError):
    """Only what is unresolved can be merged, or merged into."""

    code = "incident_is_over"
    status = 409

    def __init__(self, *, number: int) -> None:
        super().__init__(f"Incident {number} is resolved: reopen it first.")


class MergedIntoItself(OpenAlertError):
    code = "merged_into_itself"
    detail = "Choose another incident: this one cannot be merged into itself."


class SnoozeInThePast(OpenAlertError):
    code = "snooze_in_the_past"
    detail = "The snooze must end in the future."
    status = 400


class EmptyNote(OpenAlertError):
    code = "empty_note"
    detail = "A note needs some text."
    status = 400


class BadIdempotencyKey(OpenAlertError):
    code = "bad_idempotency_key"
    detail = "The header Idempotency-Key has to be a UUID."


class NobodyGetsReport(OpenAlertError):
    code = "nobody_gets_report"
    detail = "Nobody gets this report: the team has no such members, and no addresses are written down."


class ReportNotSent(OpenAlertError):
    """The mail server did not take a report. Trying again may help."""

    code = "report_not_sent"
    status = 502
