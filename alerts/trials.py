"""A dry run as pages show it: what an integration's rules, or one of them, would make of what came last."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.db.models import Case, F, Func, IntegerField, JSONField, Value, When
from django.db.models.lookups import GreaterThan

from . import dry_run
from .dry_run import Effect, Tried
from .models import Alert, Integration, IntegrationRule
from .rules import FIELDS, MAX_FIELD

MOST_ROWS = 20
MOST_SUGGESTED = 200
LOOKED_AT = 50  # alerts, for suggestions
MOST_BYTES = 32 * 1024  # of their metadata, packed
DEEPEST = 6
CHANGES = ("severity", "title", "grouping")


class Row(NamedTuple):
    """An alert that would not be left as it is; `rules` are the names of those that had a say."""

    alert: Alert
    rules: Sequence[str]
    dropped: bool
    effects: Sequence[Effect]


class Trial(NamedTuple):
    """`total` alerts were tried; `matched` is of how many the rule in question, or any, had a say. The other numbers
    are those of the dry run. `rows` are the newest MOST_ROWS, `more` how many others would not be left as they are.

    `by_rule`: in how many each rule had a say.
    """

    total: int
    matched: int
    dropped: int
    changed: int
    moved: int
    held: int
    rows: Sequence[Row]
    more: int
    by_rule: dict[UUID, int]

    @property
    def untouched(self) -> int:
        """Of all that were tried."""
        return self.total - len(self.rows) - self.more

    @property
    def left(self) -> int:
        """Of those that matched, what is left as it is."""
        return self.matched - len(self.rows) - self.more


def try_out(integration: Integration, rules: Sequence[IntegrationRule], *, only: UUID | None = None) -> Trial:
    """Try the rules, saved or not, in the order given. `only`: tell of those alerts in which this one has a say."""
    names = {str(rule.pk): rule.name for rule in rules}
    run = dry_run.run([_by_id(rule, integration) for rule in rules], integration)
    touched = [tried for tried in run.tried if only is None or str(only) in tried.matched]
    return Trial(
        total=run.total,
        matched=run.matched.get(str(only), 0) if only else run.total - run.untouched,
        dropped=sum(tried.dropped for tried in touched),
        changed=sum(tried.has(*CHANGES) for tried in touched),
        moved=sum(tried.has("service") for tried in touched),
        held=sum(tried.has("hold") for tried in touched),
        rows=[_row(tried, names) for tried in touched[:MOST_ROWS]],
        more=max(0, len(touched) - MOST_ROWS),
        by_rule={rule.pk: run.matched.get(str(rule.pk), 0) for rule in rules},
    )


def with_rule(rules: Sequence[IntegrationRule], candidate: IntegrationRule) -> Sequence[IntegrationRule]:
    """The rules with the candidate in the place of the one that it is to be, or as the last."""
    if candidate.pk in {rule.pk for rule in rules}:
        return [candidate if rule.pk == candidate.pk else rule for rule in rules]
    return [*rules, candidate]


def _by_id(rule: IntegrationRule, integration: Integration) -> IntegrationRule:
    """The rule with its id for a name: two may have the same one."""
    return IntegrationRule(
        pk=rule.pk,
        integration=integration,
        name=str(rule.pk),
        is_enabled=rule.is_enabled,
        conditions=rule.conditions,
        actions=rule.actions,
    )


def _row(tried: Tried, names: dict[str, str]) -> Row:
    return Row(tried.alert, [names[pk] for pk in tried.matched], tried.dropped, tried.effects)


def recent_alerts(integration: Integration) -> list[Alert]:
    """For suggestions: of those with large metadata, which may be whole payloads, without it."""
    size = Func(F("metadata"), function="pg_column_size", output_field=IntegerField())
    small = Case(When(GreaterThan(size, MOST_BYTES), then=Value({}, JSONField())), default=F("metadata"))
    found = Alert.objects.newest_of(integration).defer("metadata").annotate(small=small)[:LOOKED_AT]
    return [Alert(labels=alert.labels, metadata=alert.small) for alert in found]


def suggested_fields(alerts: Iterable[Alert]) -> list[str]:
    """Fields that these alerts have, for conditions and templates: their own, labels, then metadata by its paths."""
    found: dict[str, None] = dict.fromkeys(FIELDS)
    for alert in alerts:
        found |= dict.fromkeys(f"labels.{name}" for name in sorted(alert.labels) if name)
    for alert in alerts:
        found |= dict.fromkeys(sorted(islice(_paths(alert.metadata, "metadata", DEEPEST), MOST_SUGGESTED)))
    return [name for name in found if len(name) <= MAX_FIELD][:MOST_SUGGESTED]


def _paths(value: object, path: str, levels: int) -> Iterator[str]:
    """To texts, numbers and the like, and to lists of them: what a condition can be about."""
    if isinstance(value, dict):
        for key, inner in value.items() if levels else ():
            # A key with dots in it is only found at the end of a path.
            if key and not (isinstance(inner, dict) and "." in key):
                yield from _paths(inner, f"{path}.{key}", levels - 1)
    elif isinstance(value, list):
        if not any(isinstance(item, dict | list) for item in value):
            yield path
    elif value is not None:
        yield path
