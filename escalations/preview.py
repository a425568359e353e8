"""“If this service fired a critical alert on Saturday at 03:10, who would be paged, how, and when?”

An imagined incident goes the engine's own way: routing, snapshot, steps. Nothing of it is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from incidents.enums import Severity, Status
from incidents.models import Incident
from notifications import contacts
from notifications.enums import Channel
from openalert.words import listed
from teams.models import Service, User

from . import snapshot
from .ahead import Ahead, Foreseen, look_ahead
from .engine import Beginning, managers_of
from .models import EscalationPolicy, RoutingRule
from .routing import Choice, Labels, choices_for
from .steps import Reached

# More steps than any policy has in all its rounds.
MOST_STEPS = 500


@dataclass(frozen=True)
class Way:
    """By what a person is reached, and how long after the step."""

    channel: Channel
    delay: timedelta

    @property
    def delay_seconds(self) -> int:
        return int(self.delay.total_seconds())


@dataclass(frozen=True)
class Person:
    """Somebody whom a step pages; without ways they are not reached at all."""

    user: User
    ways: list[Way]

    @property
    def in_words(self) -> str:
        """“at once in the app and by email, after 2 min by …”; empty for somebody who is not reached."""
        by_delay: dict[timedelta, list[str]] = {}
        for way in self.ways:
            by_delay.setdefault(way.delay, []).append(way.channel.phrase)
        return ", ".join(
            f"{f'after {int(delay.total_seconds() // 60)} min' if delay else 'at once'} {listed(phrases)}"
            for delay, phrases in by_delay.items()
        )


@dataclass(frozen=True)
class Step:
    """`loop` and `number` count from 0."""

    at: datetime
    loop: int
    number: int
    targets: list[str]
    people: list[Person]


@dataclass(frozen=True)
class Preview:
    """What would happen; without a policy, nobody is paged. `managers` are told when the policy ends, at `ends_at`."""

    service: Service
    severity: Severity
    at: datetime
    policy: EscalationPolicy | None = None
    rule: RoutingRule | None = None
    waits: list[Foreseen] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    ends_at: datetime | None = None
    managers: list[User] = field(default_factory=list)

    @property
    def reaches_somebody(self) -> bool:
        return any(person.ways for step in self.steps for person in step.people)


def preview(*, service: Service, severity: Severity, at: datetime, labels: Labels | None = None) -> Preview:
    """What a new incident of the service (team loaded) would set off at the instant, with an alert of these labels."""
    incident = imagined(service, severity, at=at)
    choice = choices_for([incident], at=at, labels={incident.pk: [labels or {}]}).get(incident.pk)
    return preview_of(incident, choice, at=at)


def preview_of(incident: Incident, choice: Choice | None, *, at: datetime) -> Preview:
    """What the policy of the choice would do about an `imagined` incident at the instant; None: there is no policy."""
    service, severity = incident.service, Severity(incident.severity)
    if choice is None:
        return Preview(service, severity, at)
    ahead = ahead_of(incident, choice, at=at, most=MOST_STEPS)
    team = service.team_id
    return Preview(
        service,
        severity,
        at,
        choice.policy,
        choice.rule,
        ahead.waits,
        _with_ways(ahead.steps, severity),
        ahead.ends_at,
        managers_of({team}).get(team, []) if ahead.ends_at else [],
    )


def imagined(service: Service, severity: Severity, *, at: datetime) -> Incident:
    return Incident(service=service, severity=severity, status=Status.OPEN, opened_at=at, last_alert_at=at)


def ahead_of(incident: Incident, choice: Choice, *, at: datetime, most: int) -> Ahead:
    beginning = Beginning(incident, choice.policy, snapshot.of_policy(choice.policy))
    return look_ahead(beginning.run(now=at), most=most)


def _with_ways(steps: Iterable[Reached], severity: Severity) -> list[Step]:
    steps = list(steps)
    people = {user.pk: user for step in steps for user in step.people}
    rules = contacts.rules_for(people.values(), severity.urgency)
    ways: dict[UUID, Sequence[Way]] = {
        pk: [
            Way(Channel(rule.contact_method.channel), timedelta(minutes=rule.delay_minutes))
            for rule in sorted(of_person, key=contacts.in_order_of_use)
        ]
        for pk, of_person in rules.items()
    }
    return [
        Step(
            step.at,
            step.loop,
            step.step,
            step.targets,
            [Person(user, list(ways.get(user.pk, ()))) for user in step.people],
        )
        for step in steps
    ]
