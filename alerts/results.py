"""What becomes of what arrives."""

from enum import StrEnum

import msgspec

from .problems import Problem


class Outcome(StrEnum):
    OPENED = "opened"  # a new alert in a new incident
    JOINED = "joined"  # a new alert in an incident that was there
    REPEATED = "repeated"  # an alert that fires already: one more on its count
    REFIRED = "refired"  # a resolved alert of an incident that is still unresolved fires again
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    IGNORED = "ignored"  # a resolve or an acknowledgement without a firing alert
    HELD = "held"  # by a rule: it has to last, or to fire more often, before it is an alert
    DROPPED = "dropped"  # by a rule


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of one arrival; `incident` is its number, None when there is none."""

    dedup_key: str = msgspec.field(name="external_id")
    outcome: Outcome
    incident: int | None = None


class Results:
    """The results of a batch, in the order of its arrivals, filled in problem by problem."""

    def __init__(self, size: int) -> None:
        self._results: list[Result | None] = [None] * size

    def report(self, problem: Problem, outcome: Outcome, incident: int | None) -> None:
        """The first arrival of a problem had the outcome; the others repeated it."""
        dedup_key, indexes = problem.event.dedup_key, problem.indexes
        self._results[indexes[0]] = Result(dedup_key, outcome, incident)
        if len(indexes) == 1:
            return
        if outcome == Outcome.HELD:
            again = Outcome.HELD
        else:
            again = Outcome.REPEATED if problem.is_firing else Outcome.IGNORED
        for index in indexes[1:]:
            self._results[index] = Result(dedup_key, again, incident)

    def all(self) -> list[Result]:
        """Raises LookupError when one is missing."""
        if None in self._results:
            raise LookupError("an arrival was not dealt with")
        return self._results  # type: ignore[return-value]
