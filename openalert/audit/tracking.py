"""Changes of configuration tell themselves: every row of ours that is saved or deleted, but for the models named here.

django-auditlog was weighed: it clears the actor of old entries when a person is deleted, which an append-only table must
refuse; it connects a signal with each request; and it takes the address from a header that anybody may send.

Signals do not see what is written set-based (`QuerySet.update`, `bulk_create`, SQL). Where that is configuration, whoever
writes it says so: `created_all`, `changed_all`, `update`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import signals

from openalert.encryption import EncryptedField, Sealed, SecretUnreadable
from openalert.redaction import HIDDEN, SECRET_NAME

from .log import LONGEST_VALUE, Changes, action_on, record, record_all

OUR_APPS = ("openalert", "teams", "incidents", "alerts", "notifications", "escalations")
OF_OTHERS = (
    "auth.group",
    "django_celery_beat.clockedschedule",
    "django_celery_beat.crontabschedule",
    "django_celery_beat.intervalschedule",
    "django_celery_beat.periodictask",
    "django_celery_beat.solarschedule",
)
# What monitoring, escalation and delivery write all the time. Incidents' actions are recorded by incidents.timeline.
NOT_AUDITED = {
    "alerts.alert",
    "alerts.alertadditions",
    "alerts.alertmove",
    "alerts.change",
    "alerts.countedmonth",
    "alerts.flap",
    "alerts.heartbeatping",
    "alerts.heartbeatwatch",
    "alerts.heldalert",
    "alerts.monthlynoise",
    "escalations.escalationrun",
    "escalations.roundrobinturn",
    "incidents.doneaction",
    "incidents.incident",
    "incidents.liveevent",
    "incidents.postmortemrevision",
    "incidents.reportsent",
    "incidents.timelineentry",
    "incidents.toldoncall",
    "notifications.changedpages",
    "notifications.countedpagesmonth",
    "notifications.deliveryattempt",
    "notifications.mailboxmessage",
    "notifications.monthlypages",
    "notifications.notification",
    "notifications.provideraccount",
    "notifications.reply",
    "notifications.subscribermail",
    "notifications.verification",
    "notifications.webhookdelivery",
    "openalert.auditentry",
    "openalert.election",
    "openalert.pulse",
    "teams.calendarevent",
    "teams.notice",
    # teams.second_factor tells what matters of them.
    "teams.recoverycode",
    "teams.secondfactor",
}
# State that changes by itself, of rows that are configuration otherwise.
STATE = {
    "alerts.heartbeat": {"last_ping_at", "due_at", "expired_at", "started_at", "took"},
    "alerts.maintenancewindow": {"is_start_told", "is_end_told"},
    # Its revisions say who wrote what.
    "incidents.postmortem": {"body", "version", "edited_by", "edited_at"},
    "incidents.stakeholder": {"asked", "asked_at"},
    "notifications.contactmethod": {"broken_at", "broken_reason"},
    "notifications.webhook": {"failures", "rests_until"},
    "django_celery_beat.periodictask": {"last_run_at", "total_run_count", "date_changed"},
    "teams.calendar": {"due_at", "fetched_at", "failing_since_at", "failure", "unmatched"},
    "teams.apitoken": {"last_used_at"},
    "teams.calendarfeed": {"read_at"},
    "teams.user": {"last_login", "first_steps_put_away"},
}
# Values that are secrets although neither their names nor their fields say so.
SECRETS = {
    "notifications.contactmethod": {"address"},
    "alerts.heartbeat": {"ping_key"},
    "alerts.integration": {"key_hash", "old_key_hash"},
    "teams.apitoken": {"secret_hash"},
    "teams.calendarfeed": {"token_hash"},
}
ALWAYS_LEFT_OUT = {"id", "created_at", "updated_at"}

_is_seeding: ContextVar[bool] = ContextVar("audit_is_seeding", default=False)


def start() -> None:
    """Once in each process, when all models are there."""
    for model in tracked_models():
        uid = f"audit {model._meta.label_lower}"
        signals.pre_save.connect(_before_save, sender=model, dispatch_uid=uid)
        signals.post_save.connect(_after_save, sender=model, dispatch_uid=uid)
        signals.post_delete.connect(_after_delete, sender=model, dispatch_uid=uid)
        for relation in model._meta.local_many_to_many:
            through = relation.remote_field.through
            if through is not None and through._meta.auto_created:
                signals.m2m_changed.connect(_after_relation, sender=through, dispatch_uid=uid + relation.name)


def tracked_models() -> list[type[models.Model]]:
    """Those whose changes are recorded: all of ours but the named ones. A new one is among them by itself."""
    return [model for model in apps.get_models() if is_tracked(model)]


def is_tracked(model: type[models.Model]) -> bool:
    label = model._meta.label_lower
    return label in OF_OTHERS or (model._meta.app_label in OUR_APPS and label not in NOT_AUDITED)


def audited_fields(model: type[models.Model]) -> list[models.Field]:
    left_out = ALWAYS_LEFT_OUT | STATE.get(model._meta.label_lower, set())
    return [field for field in model._meta.concrete_fields if field.name not in left_out]


def is_secret(field: models.Field) -> bool:
    """Of such a field it is told that it changed, and nothing of its value."""
    return (
        isinstance(field, EncryptedField)
        or bool(SECRET_NAME.fullmatch(field.name))
        or field.name in SECRETS.get(field.model._meta.label_lower, ())
    )


def difference(before: models.Model | None, after: models.Model | None) -> Changes:
    """By field, what it was and is; None on the side where there is no row."""
    row = after if after is not None else before
    assert row is not None
    changes: Changes = {}
    for field in audited_fields(type(row)):
        old, new = (_raw(side, field) for side in (before, after))
        if isinstance(old, Sealed) != isinstance(new, Sealed):
            old, new = _opened(old), _opened(new)
        if old != new and not (before is None and new in (None, "", [], {})):
            changes[field.name] = (_shown(field, old), _shown(field, new))
    return changes


def _raw(row: models.Model | None, field: models.Field) -> Any:
    if row is None:
        return None
    if isinstance(field, EncryptedField):  # as it is kept, if nobody has used it: it need not be readable
        return row.__dict__.get(field.attname)
    value = row.__dict__[field.attname] if field.attname in row.__dict__ else getattr(row, field.attname)
    if hasattr(value, "resolve_expression"):  # the database's to compute
        return str(value)
    if isinstance(value, str) and not isinstance(field, models.CharField | models.TextField):
        return field.to_python(value)  # set as text, and not read back yet
    return value


def _opened(value: Any) -> Any:
    try:
        return value.open() if isinstance(value, Sealed) else value
    except SecretUnreadable:
        return value


def _shown(field: models.Field, value: Any) -> Any:
    if value is None or value in ("", [], {}):
        return value
    if is_secret(field):
        return HIDDEN
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | dict):
        return _cut(_plain(value))
    return _cut(field.value_to_string(_Holder(field.attname, value)))  # type: ignore[arg-type]


class _Holder:
    """As much of a row as a field wants to see of it."""

    def __init__(self, name: str, value: Any) -> None:
        setattr(self, name, value)


def _plain(value: Any) -> Any:
    """JSON of JSON-like values, with what looks like a secret by its name hidden."""
    if isinstance(value, dict):
        return {
            str(key): HIDDEN if SECRET_NAME.fullmatch(str(key)) and item else _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _cut(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    return value if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


def _before_save(
    sender: type[models.Model], instance: models.Model, raw: bool, update_fields: Any, **_: Any
) -> None:
    instance.__dict__.pop("_audit_before", None)
    if raw or instance._state.adding:
        return
    if update_fields is not None and not {field.name for field in audited_fields(sender)} & set(
        update_fields
    ):
        return
    instance.__dict__["_audit_before"] = sender._base_manager.filter(pk=instance.pk).first()


@contextmanager
def seeding() -> Iterator[None]:
    """Within, rows that are made are not told: the product brings them along. What is changed or deleted is."""
    token = _is_seeding.set(True)
    try:
        yield
    finally:
        _is_seeding.reset(token)


def _after_save(
    sender: type[models.Model], instance: models.Model, created: bool, raw: bool, **_: Any
) -> None:
    before = instance.__dict__.pop("_audit_before", None)
    if raw or (before is None and not created) or (created and _is_seeding.get()):
        return
    changes = difference(before, instance)
    if changes or created:
        record("created" if created else "changed", instance, changes)


def _after_delete(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    record("deleted", instance, difference(instance, None))


def _after_relation(
    sender: Any, instance: models.Model, action: str, reverse: bool, model: Any, pk_set: Any, **_: Any
) -> None:
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    names = {field.remote_field.through: field.name for field in type(instance)._meta.many_to_many}
    if action == "pre_clear":
        if reverse or sender not in names:
            return
        rows = list(getattr(instance, names[sender]).all())
    else:
        rows = list(model._default_manager.filter(pk__in=pk_set or ()))
    if not rows:
        return
    told = sorted(str(row) for row in rows)
    name = names.get(sender, sender._meta.label_lower)
    record("changed", instance, {name: (None, told) if action == "post_add" else (told, None)})


def created_all(rows: Iterable[models.Model]) -> None:
    """Tell of rows that were written by bulk_create."""
    record_all([action_on("created", row, difference(None, row)) for row in rows])


def changed_all(pairs: Iterable[tuple[models.Model, models.Model]]) -> None:
    """Tell of rows that were written by bulk_update: each as it was, and as it is."""
    changes = ((after, difference(before, after)) for before, after in pairs)
    record_all([action_on("changed", row, change) for row, change in changes if change])


def update(rows: models.QuerySet[Any], **values: Any) -> int:
    """What `rows.update(**values)` does, told row by row. For configuration, of which there are few rows."""
    with transaction.atomic():
        before = list(rows.select_for_update(of=("self",)))
        if not before:
            return 0
        everything: Sequence[Any] = rows.model._base_manager.filter(pk__in=[row.pk for row in before])
        count: int = everything.update(**values)  # type: ignore[attr-defined]
        after = {row.pk: row for row in everything.all()}  # type: ignore[attr-defined]
        changed_all((row, after[row.pk]) for row in before)
    return count
