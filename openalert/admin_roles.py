"""Who may do what in the admin. The only place that decides it: `admin_access` asks here for every model.

Administrators may do everything. Auditors see everything but secrets. Managers get what TABLE says, in the teams that they
manage: those rows, those choices in forms. Nobody else gets in; Django's own permissions, given by hand, are not asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet

from openalert.audit.tracking import is_secret
from teams import queries
from teams.access import teams_to_manage
from teams.models import Membership, User
from teams.standing import is_admin, may_read_audit, sees_everything

VIEW = frozenset({"view"})
CHANGE = VIEW | {"change"}
ALL = CHANGE | {"add", "delete"}
# Of records, which nobody edits: what people do about them, such as acknowledging.
ACT = VIEW | {"act"}


@dataclass(frozen=True)
class Line:
    """What managers may do with the rows of a model, and which way leads from a row to its team (none: it is the team)."""

    may: frozenset[str] = frozenset()
    team: str = ""


# For administrators and auditors alone: what belongs to the installation, and people's own matters.
NOT_FOR_MANAGERS = Line()
TABLE = {
    "alerts.alert": Line(VIEW, "integration__service__team"),
    "alerts.change": Line(VIEW, "integration__service__team"),
    "alerts.heartbeat": Line(ALL, "integration__service__team"),
    "alerts.integration": Line(ALL, "service__team"),
    "alerts.maintenancewindow": Line(ALL, "team"),
    "django_celery_beat.clockedschedule": NOT_FOR_MANAGERS,
    "django_celery_beat.crontabschedule": NOT_FOR_MANAGERS,
    "django_celery_beat.intervalschedule": NOT_FOR_MANAGERS,
    "django_celery_beat.periodictask": NOT_FOR_MANAGERS,
    "django_celery_beat.solarschedule": NOT_FOR_MANAGERS,
    "escalations.escalationpolicy": Line(ALL, "team"),
    "escalations.escalationrun": Line(VIEW, "incident__service__team"),
    "escalations.escalationstep": Line(ALL, "policy__team"),
    "escalations.pagingsettings": Line(ALL, "team"),
    "escalations.routingrule": Line(ALL, "team"),
    "incidents.incident": Line(ACT, "service__team"),
    "incidents.reportschedule": Line(CHANGE, "team"),
    "incidents.responsesettings": Line(ALL, "team"),
    "incidents.stakeholder": NOT_FOR_MANAGERS,
    "incidents.timelineentry": Line(VIEW, "incident__service__team"),
    "notifications.contactmethod": NOT_FOR_MANAGERS,
    "notifications.deliveryattempt": Line(VIEW, "notification__incident__service__team"),
    "notifications.mailboxmessage": NOT_FOR_MANAGERS,
    "notifications.notification": Line(VIEW, "incident__service__team"),
    "notifications.notificationrule": NOT_FOR_MANAGERS,
    "notifications.operationsteam": NOT_FOR_MANAGERS,
    "notifications.provideraccount": NOT_FOR_MANAGERS,
    "notifications.quiethours": NOT_FOR_MANAGERS,
    "notifications.reply": NOT_FOR_MANAGERS,
    "notifications.subscribermail": NOT_FOR_MANAGERS,
    "notifications.webhook": Line(ALL, "team"),
    "notifications.webhookdelivery": Line(ACT, "webhook__team"),
    "teams.calendar": Line(VIEW, "schedule__team"),
    "teams.calendarfeed": NOT_FOR_MANAGERS,
    "teams.groupmapping": NOT_FOR_MANAGERS,
    "teams.handovernote": Line(VIEW, "schedule__team"),
    "teams.identity": NOT_FOR_MANAGERS,
    "teams.layer": Line(ALL, "schedule__team"),  # beside their schedule, where they may be changed at all
    "teams.membership": Line(ALL, "team"),
    "teams.notice": NOT_FOR_MANAGERS,
    "teams.override": Line(VIEW, "schedule__team"),
    "teams.schedule": Line(ALL, "team"),
    "teams.service": Line(ALL, "team"),
    "teams.servicedependency": Line(ALL, "service__team"),
    "teams.shiftswap": Line(VIEW, "schedule__team"),
    "teams.team": Line(CHANGE, ""),
    # Whose address one may change, one may be: so managers change nothing of people, not even of theirs.
    "teams.user": Line(VIEW, "memberships__team"),
    "token_blacklist.blacklistedtoken": NOT_FOR_MANAGERS,
    "token_blacklist.outstandingtoken": NOT_FOR_MANAGERS,
}
# Beside what the audit log takes for a secret: addresses that post to whoever knows them, and mails with links that open.
SECRETS = {
    "notifications.mailboxmessage": {"text", "html"},
    "notifications.notification": {"address", "payload"},
    "notifications.webhookdelivery": {"response_text"},
}
# How somebody signs in, which is an attacker's to know: for those who read the audit log.
OF_SIGN_IN = {"teams.user": {"factor_state", "failed_sign_ins", "last_login"}}

Person = User | AnonymousUser


def may_enter(user: Person) -> bool:
    return user.is_authenticated and (sees_everything(user) or bool(_managed(user)))


def may(user: Person, action: str, model: type[Model], row: Model | str | None = None) -> bool:
    """Whether `user` may do it to rows of the model at all, or to this one, which may be given by its id.

    `action`: view, add, change, delete, act.
    """
    if is_admin(user):
        return True
    if action == "view" and sees_everything(user):
        return True
    if not user.is_authenticated or action not in line_of(model).may or not _managed(user):
        return False
    if row is None or (isinstance(row, Model) and row._state.adding):
        return True
    try:
        return limit(model._base_manager.filter(pk=row.pk if isinstance(row, Model) else row), user).exists()
    except (ValidationError, ValueError):  # no id at all
        return False


def line_of(model: type[Model]) -> Line:
    """A model without a line is not for managers."""
    return TABLE.get(model._meta.label_lower, NOT_FOR_MANAGERS)


def visible(rows: QuerySet[Any], user: Person) -> QuerySet[Any]:
    """Those of the rows that `user` may see."""
    return rows if sees_everything(user) else limit(rows, user)


def limit(rows: QuerySet[Any], user: Person) -> QuerySet[Any]:
    """Those of the rows that `user` has a hand in: all for administrators, those of their teams for managers."""
    if is_admin(user):
        return rows
    line = line_of(rows.model)
    if not line.may or not user.is_authenticated:
        return rows.none()
    teams = _managed(user)
    if rows.model is User:
        return rows.filter(pk__in=Membership.objects.filter(team__in=teams).values("user"))
    return rows.filter(**{f"{line.team or 'pk'}__in": teams})


def choices(rows: QuerySet[Any], user: Person, chosen: Iterable[Any] = ()) -> QuerySet[Any]:
    """What `user` may choose in a form: rows of their teams, people whom they see; and what is chosen already."""
    if is_admin(user):
        return rows
    found = (
        queries.people_visible_to(user) if rows.model is User else limit(rows.model._base_manager.all(), user)
    )
    return rows.filter(Q(pk__in=found.values("pk")) | Q(pk__in=[key for key in chosen if key is not None]))


def team_field(model: type[Model]) -> str:
    """The model's own field that leads to its team, or nothing."""
    return line_of(model).team.partition("__")[0]


def hidden_fields(user: Person, model: type[Model], row: Model | None = None) -> set[str]:
    """Fields of which `user` is not shown the values: secrets, for all but administrators and whoever may change the row."""
    hidden = set() if may_read_audit(user) else OF_SIGN_IN.get(model._meta.label_lower, set())
    if is_admin(user) or (row is not None and may(user, "change", model, row)):
        return hidden
    return hidden | secret_fields(model)


def secret_fields(model: type[Model]) -> set[str]:
    named = SECRETS.get(model._meta.label_lower, set())
    return {field.name for field in model._meta.concrete_fields if field.name in named or _is_secret(field)}


def _is_secret(field: Field) -> bool:
    return field.remote_field is None and is_secret(field)


def _managed(user: Person) -> list[UUID]:
    """The ids of the teams that they manage, asked for once in a request."""
    if not hasattr(user, "_managed_in_admin"):
        user._managed_in_admin = list(teams_to_manage(user).values_list("pk", flat=True))  # type: ignore[union-attr]
    found: list[UUID] = user._managed_in_admin  # type: ignore[union-attr]
    return found
