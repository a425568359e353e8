"""What rules would make of the alerts that an integration sent last. Nothing is written, nobody is told."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from incidents.enums import Severity
from teams.models import Service

from .enums import EventStatus
from .events import AlertEvent
from .models import Alert, Integration, IntegrationRule
from .rule_words import hold_in_words
from .rules import Ruleset, Verdict, compile_rules

LIMIT = 200


class Effect(NamedTuple):
    """`what`: severity, title, grouping, service or hold. `before` is empty where there was nothing of the kind."""

    what: str
    before: str
    after: str


class Tried(NamedTuple):
    """What would become of an alert; `matched` are the names of the rules that had a say, in their order."""

    alert: Alert
    matched: tuple[str, ...]
    dropped: bool
    effects: tuple[Effect, ...]

    def has(self, *whats: str) -> bool:
        return any(effect.what in whats for effect in self.effects)


class DryRun(NamedTuple):
    """How many of `total` alerts would be dropped, moved to another service, held back, changed (in severity, title
    or grouping), or left as they are. What is moved may also be held and changed.

    `tried` are those that would not be left as they are, the newest first. `matched` says of each rule by its name in
    how many of all it had a say, those that it left as they are among them.
    """

    total: int
    dropped: int
    changed: int
    moved: int
    held: int
    untouched: int
    tried: tuple[Tried, ...]
    matched: Mapping[str, int]


def run(rules: Iterable[IntegrationRule], integration: Integration, *, limit: int = LIMIT) -> DryRun:
    """Try the rules, saved or not, in the order given, on the integration's newest alerts.

    Alerts are taken as they are kept: with the title and severity that the rules of their time gave them, at the
    time when they first fired, and without those that were dropped. Their name is not kept: the label alertname,
    or else the title, stands for it. A rule that cannot be read is left out, as intake does.
    """
    rules = list(rules)
    ruleset = compile_rules(rules, time_zone=integration.service.team.time_zone)
    services = _services(ruleset, integration)
    newest = Alert.objects.newest_of(integration)
    if not _look_at_metadata(rules):
        newest = newest.defer("metadata")  # it may be whole payloads
    alerts = list(newest[:limit])
    tried = [_tried(alert, ruleset, integration, services) for alert in alerts]
    touched = tuple(each for each in tried if each.dropped or each.effects)
    return DryRun(
        total=len(alerts),
        dropped=sum(each.dropped for each in touched),
        changed=sum(each.has("severity", "title", "grouping") for each in touched),
        moved=sum(each.has("service") for each in touched),
        held=sum(each.has("hold") for each in touched),
        untouched=len(alerts) - len(touched),
        tried=touched,
        matched=Counter(name for each in tried for name in set(each.matched)),
    )


def _look_at_metadata(rules: Iterable[IntegrationRule]) -> bool:
    """Perhaps: a rule has a text like the name of such a field."""
    return any(b"metadata." in msgspec.json.encode([rule.conditions, rule.actions]) for rule in rules)


def _services(ruleset: Ruleset, integration: Integration) -> dict[UUID, str]:
    """The names of the team's services that the rules send alerts to."""
    if not ruleset.service_ids:
        return {}
    found = Service.objects.filter(pk__in=ruleset.service_ids, team=integration.service.team_id)
    return dict(found.values_list("pk", "name"))


def _tried(alert: Alert, ruleset: Ruleset, integration: Integration, services: Mapping[UUID, str]) -> Tried:
    event = event_of(alert)
    verdict = ruleset.apply(event, at=alert.first_fired_at)
    effects = () if verdict.dropped else tuple(_effects(event, verdict, integration, services))
    return Tried(alert, verdict.matched, verdict.dropped, effects)


def event_of(alert: Alert) -> AlertEvent:
    """The alert as it was sent when it fired, as far as that is known and loaded."""
    is_loaded = "metadata" not in alert.get_deferred_fields()
    return AlertEvent(
        dedup_key=alert.dedup_key,
        status=EventStatus.FIRING,
        title=alert.title,
        severity=Severity(alert.severity),
        name=alert.labels.get("alertname") or alert.title,
        source=alert.source,
        labels=alert.labels,
        metadata=alert.metadata if is_loaded else {},
    )


def _effects(
    event: AlertEvent, verdict: Verdict, integration: Integration, services: Mapping[UUID, str]
) -> Iterable[Effect]:
    after = verdict.event
    if after.severity != event.severity:
        yield Effect("severity", event.severity, after.severity)
    if after.title != event.title:
        yield Effect("title", event.title, after.title)
    if verdict.grouping is not None:
        yield Effect("grouping", "", verdict.grouping)
    to_service = services.get(verdict.service_id) if verdict.service_id else None
    if to_service is not None and verdict.service_id != integration.service_id:
        yield Effect("service", integration.service.name, to_service)
    if verdict.is_held:
        yield Effect("hold", "", hold_in_words(verdict.wait, *(verdict.threshold or (None, None))))
