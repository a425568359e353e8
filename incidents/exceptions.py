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


class NotMerged(OpenAlertError):
    code = "not_merged"
    status = 409

    def __init__(self, *, number: int) -> None:
        super().__init__(f"Incident {number} is not merged into another one.")


class UnknownRole(OpenAlertError):
    code = "unknown_role"

    def __init__(self, role: str) -> None:
        super().__init__(f"The team has no role “{role}”.", field="role")


class NotInTeam(OpenAlertError):
    """Only those who see an incident can work on it."""

    code = "not_in_team"

    def __init__(self, *, person: str, team: str, field: str) -> None:
        super().__init__(f"{person} is no active member of {team}.", field=field)


class EmptyText(OpenAlertError):
    code = "empty_text"
    detail = "It needs some text."


class LinkedWithItself(OpenAlertError):
    code = "linked_with_itself"
    detail = "Choose another incident: this one cannot be linked with itself."


class TooManyAsked(OpenAlertError):
    """Nobody's mailbox is flooded from here."""

    code = "too_many_asked"
    status = 429

    def __init__(self, *, address: str) -> None:
        super().__init__(
            f"{address} was asked several times lately and has not agreed: it is not asked again for now.",
            field="address",
        )


class TooManySubscriptions(OpenAlertError):
    code = "too_many_subscriptions"
    status = 409
    detail = "So many are subscribed already that nobody more can be."


class PostmortemChanged(OpenAlertError):
    """Somebody else has saved it meanwhile: what was sent is not written over theirs."""

    code = "postmortem_changed"
    status = 409

    def __init__(self, *, version: int, by: str) -> None:
        super().__init__(f"{by} has saved version {version} meanwhile. Your text was not saved over it.")
        self.version = version


class PostmortemPublished(OpenAlertError):
    code = "postmortem_published"
    status = 409
    detail = "It is published: put it back to draft to change it."


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
