"""What was promised against what happened. The expectation is made from the scene, not from the product's rows.

An incident is answered when its acknowledgement or resolve is committed. Policy: its first step is due when it opens, each further
one so many seconds after the one before was carried out, through all loops, unless it is answered.

lost        an alert that was answered 2xx is not stored or has no incident; a resolve that was, did not end it; a page
            of a step that was carried out is missing, or nobody was handed it although nobody had answered; a step of
            an incident that nobody answered was not carried out; something is still waiting at the end
too late    a page's lease, or the connection to the provider that carried it, began after the answer could be seen
duplicate   a page was handed over again. Explained: the sender of the one before was killed, or PostgreSQL was away,
            between the beginning of its connection to the provider and the moment when its result should have been
            committed. All others are faults
late        handed over minus due, for every page that had to be sent; one that was not sent before somebody answered
            counts until the answer
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from .chaos import Event
from .evidence import Evidence, Handed, Incident, Page
from .load import Problem
from .provider import SLOW_SECONDS
from .scene import Policy, Scene

# From the lease, which must not come after the answer at all, to the connection there is only a message to be
# rendered; this is what a machine that is out of processor time may make of that.
SETTLING_SECONDS = 3.0
# PostgreSQL takes a commit's time before it is on the disk; nobody sees the commit, and nobody is told 2xx, until it is.
VISIBLE_SECONDS = 0.2
# From the provider's answer to the commit of the result.
COMMIT_SECONDS = 2.0
# The clock that says when a step is due runs in a transaction that began a little earlier.
TOLERANCE = 0.05

Key = tuple[int, int, str, str]  # loop, step, person, address


@dataclass
class Wait:
    due: float
    until: float

    @property
    def seconds(self) -> float:
        return max(0.0, self.until - self.due)


@dataclass
class Verdict:
    lost: list[str] = field(default_factory=list)
    too_late: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.too_late or self.unexplained)


def judge(
    scene: Scene, problems: Iterable[Problem], evidence: Evidence, events: list[Event], left: tuple[int, int]
) -> Verdict:
    """`left` is how many runs and pages were unfinished when the drill stopped waiting."""
    verdict = Verdict()
    if any(left):
        verdict.lost.append(f"still waiting at the end: {left[0]} escalations, {left[1]} pages")
    _alerts(problems, evidence, verdict)
    policies = {
        f"{door['format']} {door['policy']}": scene["policies"][door["policy"]] for door in scene["doors"]
    }
    for incident in evidence.incidents:
        _pages(incident, policies[incident.service], scene, evidence, verdict)
    known = {page.id for pages in evidence.pages.values() for page in pages}
    for page_id in evidence.handed.keys() - known:
        verdict.unexplained.append(f"{page_id} was handed over, and nobody decided it")
    _duplicates(evidence, events, verdict)
    return verdict


def _alerts(problems: Iterable[Problem], evidence: Evidence, verdict: Verdict) -> None:
    incidents = {incident.id: incident for incident in evidence.incidents}
    for problem in problems:
        verdict.counts["alerts sent"] += 1
        if problem.accepted_at is None:
            continue
        verdict.counts["alerts accepted"] += 1
        stored = evidence.alerts.get(problem.key, [])
        if not any(incident in incidents for _, incident in stored):
            verdict.lost.append(f"{problem.key} was accepted and is not there: {stored}")
        if problem.answered_at is None:
            continue
        verdict.counts["answers accepted"] += 1
        for incident in (found for found in evidence.incidents if found.key == problem.key):
            # A request that the client gave up may have come to the database after all, and fired anew.
            if incident.opened < problem.answered_at and (
                incident.answered is None or (problem.told_resolved and incident.status != "resolved")
            ):
                verdict.lost.append(f"{problem.key} was answered and is {incident.status}")


def _pages(incident: Incident, policy: Policy, scene: Scene, evidence: Evidence, verdict: Verdict) -> None:
    carried_out = {(step.loop, step.step): step.at for step in evidence.steps.get(incident.id, [])}
    if len(carried_out) < len(evidence.steps.get(incident.id, [])):
        verdict.unexplained.append(f"{incident.key}: a step was carried out twice")
    pages: dict[tuple[int, int], dict[Key, Page]] = defaultdict(dict)
    for page in evidence.pages.get(incident.id, []):
        key = (page.loop, page.step, page.person, page.address)
        if key in pages[page.loop, page.step]:
            verdict.unexplained.append(f"{incident.key} has two rows for {key}")
        pages[page.loop, page.step][key] = page
    verdict.counts["incidents"] += 1
    verdict.counts["incidents nobody answered"] += incident.answered is None
    due = incident.opened
    for loop, number in _sequence(policy):
        what = f"{incident.key}: step {number + 1} of loop {loop + 1}"
        step, at = policy["steps"][number], carried_out.pop((loop, number), None)
        if at is None:
            if incident.answered is None:
                verdict.lost.append(f"{what} was not carried out")
            elif due < incident.answered:
                verdict.waits.append(Wait(due, incident.answered))
            break
        if at < due - TOLERANCE:
            verdict.unexplained.append(f"{what} came {due - at:.2f} s too early")
        if incident.answered is not None and at > incident.answered:
            verdict.too_late.append(f"{what} was decided after the answer")
        written = pages.pop((loop, number), {})
        wanted = {
            (loop, number, person, address)
            for person in step["people"]
            for address in scene["people"][person]
        }
        for key in wanted - written.keys():
            verdict.lost.append(f"{incident.key}: the page {key} was not written")
        for key in written.keys() - wanted:
            verdict.unexplained.append(f"{incident.key}: nobody asked for the page {key}")
        for page in written.values():
            _page(incident, page, due, evidence, verdict)
        due = at + step["delay"]
    if pages or carried_out:
        verdict.unexplained.append(
            f"{incident.key}: out of turn came {sorted(pages.keys() | carried_out.keys())}"
        )


def _sequence(policy: Policy) -> Iterator[tuple[int, int]]:
    for loop in range(policy["repeat"] + 1):
        for number in range(len(policy["steps"])):
            yield loop, number


def _page(incident: Incident, page: Page, due: float, evidence: Evidence, verdict: Verdict) -> None:
    attempts = evidence.attempts.get(page.id, [])
    handed = evidence.handed.get(page.id, [])
    what = f"{incident.key}: {page.id} to {page.address or page.person}"
    answered = incident.answered
    verdict.counts["pages"] += 1
    if page.channel == "in_app":
        first = min((attempt.finished for attempt in attempts if attempt.status == "sent"), default=None)
    else:
        first = min((message.at for message in handed), default=None)
    if first is not None:
        verdict.counts["pages handed over"] += 1
        verdict.waits.append(Wait(due, first))
    elif page.status == "sent":
        verdict.lost.append(f"{what} counts as sent, and the provider never had it")
    elif answered is None:
        verdict.lost.append(f"{what} is {page.status} after {page.attempts} attempts, nobody had it")
    else:
        verdict.counts["pages dropped by an answer"] += 1
        verdict.waits.append(Wait(due, answered))
    if answered is None:
        return
    for attempt in attempts:
        if attempt.started > answered + VISIBLE_SECONDS:
            verdict.too_late.append(f"{what} was leased {attempt.started - answered:.2f} s after the answer")
    for message in handed:
        if message.opened > answered + SETTLING_SECONDS:
            verdict.too_late.append(f"{what} was sent {message.opened - answered:.2f} s after the answer")


def _duplicates(evidence: Evidence, events: list[Event], verdict: Verdict) -> None:
    for messages in evidence.handed.values():
        messages.sort(key=lambda message: message.at)
        for before, again in pairwise(messages):
            reason = _explanation(before, events)
            what = f"{before.id} to {before.to} again after {again.at - before.at:.1f} s"
            if reason:
                verdict.explained.append(f"{what}: {reason}")
            else:
                verdict.unexplained.append(what)


def _explanation(message: Handed, events: list[Event]) -> str | None:
    """Why the sender of a message could not write down that it was sent."""
    until = message.at + SLOW_SECONDS[1] + COMMIT_SECONDS
    for event in events:
        if event.pid == message.pid and message.opened <= event.at <= until:
            return f"{event.kind} {event.at - message.at:+.2f} s from its arrival"
        is_away = (
            event.target == "postgres" and event.at <= until and message.opened <= (event.until or event.at)
        )
        if is_away:
            return f"{event.kind} {event.at - message.at:+.2f} s from its arrival"
    return None
