"""A person's contact methods and rules: what they have when they have chosen nothing."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents.enums import Urgency
from openalert import audit
from openalert.words import listed
from teams.models import User

from .enums import Channel
from .models import ContactMethod, NotificationRule


def ensure_default_methods(user: User) -> None:
    """Give a person without any contact method pages in the app and to their account's address, at once.

    Nobody is unreachable for never having opened the settings page. Repeating it changes nothing.
    """
    if ContactMethod.objects.filter(user=user).exists():
        return
    methods = default_methods(user, now=timezone.now())
    with transaction.atomic():
        ContactMethod.objects.bulk_create(methods, ignore_conflicts=True)
        NotificationRule.objects.bulk_create(
            (
                NotificationRule(user=user, urgency=urgency, contact_method=method)
                for method in ContactMethod.objects.filter(user=user)
                for urgency in Urgency
            ),
            ignore_conflicts=True,
        )


def default_methods(user: User, *, now: datetime) -> list[ContactMethod]:
    """What everybody has to begin with, not saved yet."""
    return [
        ContactMethod(user=user, channel=Channel.IN_APP, verified_at=now),
        ContactMethod(user=user, channel=Channel.EMAIL, address=user.email, verified_at=now),
    ]


def rules_for(users: Iterable[User], urgency: Urgency) -> dict[UUID, list[NotificationRule]]:
    """The rules by which each person is to be reached now, by the person's id.

    Somebody with working methods but without a rule for this urgency is reached by all of them at once:
    silence must be asked for by switching the methods off. Those who did that, and whose others are not
    verified, are not in the result. When all that are left are broken, they are tried all the same: a message in
    vain is better than silence.
    """
    users = list(users)
    methods = _methods_by_user(users)
    for user in users:
        if user.pk not in methods:
            ensure_default_methods(user)
    methods |= _methods_by_user(user for user in users if user.pk not in methods)
    usable = {user.pk: usable_of(methods.get(user.pk, [])) for user in users}
    rules: dict[UUID, list[NotificationRule]] = {}
    for rule in NotificationRule.objects.filter(user__in=users, urgency=urgency).select_related(
        "contact_method"
    ):
        if rule.contact_method in usable[rule.user_id]:
            rules.setdefault(rule.user_id, []).append(rule)
    for user in users:
        if user.pk not in rules and usable[user.pk]:
            rules[user.pk] = [
                NotificationRule(user=user, urgency=urgency, contact_method=method)
                for method in usable[user.pk]
            ]
    return rules


def usable_of(methods: Iterable[ContactMethod]) -> list[ContactMethod]:
    """The working ones of a person's methods or, when none works, all that are switched on and verified."""
    usable = [method for method in methods if method.is_usable]
    return [method for method in usable if method.is_working] or usable


def _methods_by_user(users: Iterable[User]) -> dict[UUID, list[ContactMethod]]:
    methods: dict[UUID, list[ContactMethod]] = {}
    for method in ContactMethod.objects.filter(user__in=list(users)):
        methods.setdefault(method.user_id, []).append(method)
    return methods


@transaction.atomic
def add_method(method: ContactMethod) -> None:
    """Save a new, validated contact method, to be used at once for both urgencies until its owner says otherwise;
    where a code is needed, once that was typed in."""
    method.settle_verification(now=timezone.now())
    method.save(force_insert=True)
    for urgency in Urgency:
        set_rule(user=method.user, urgency=urgency, method=method, delay_minutes=0)


@transaction.atomic
def add_methods(methods: Sequence[ContactMethod]) -> None:
    """As `add_method` does, for methods of many people in a fixed number of statements. People without any get the usual
    ones too. They are told to the audit log."""
    now = timezone.now()
    people = {method.user_id: method.user for method in methods}
    known = set(ContactMethod.objects.filter(user__in=people).values_list("user", flat=True))
    usual = [
        method for pk, user in people.items() if pk not in known for method in default_methods(user, now=now)
    ]
    for method in methods:
        method.settle_verification(now=now)
    rows = [*usual, *methods]
    ContactMethod.objects.bulk_create(rows)
    rules = [
        NotificationRule(user=row.user, urgency=urgency, contact_method=row)
        for row in rows
        for urgency in Urgency
    ]
    NotificationRule.objects.bulk_create(rules)
    audit.created_all([*rows, *rules])


def set_enabled(*, method: ContactMethod, is_enabled: bool) -> None:
    """Switch a method on or off. Off, its rules are kept and do nothing."""
    method.is_enabled = is_enabled
    method.save(update_fields=["is_enabled", "updated_at"])


def mark_broken(method: ContactMethod, *, reason: str, now: datetime) -> bool:
    """Its provider says that nothing can be delivered there: it is used no more. Whether that is news."""
    return bool(
        ContactMethod.objects.filter(pk=method.pk, broken_at__isnull=True).update(
            broken_at=now, broken_reason=reason, updated_at=now
        )
    )


def mark_working(method: ContactMethod) -> None:
    """Something was delivered there after all, or its owner says that it works: it is used again."""
    method.broken_at, method.broken_reason = None, ""
    method.save(update_fields=["broken_at", "broken_reason", "updated_at"])


def set_rule(*, user: User, urgency: Urgency, method: ContactMethod, delay_minutes: int) -> NotificationRule:
    """Use one of the person's own methods after so many minutes; there is one rule for each method and urgency."""
    rule, _ = NotificationRule.objects.update_or_create(
        user=user, urgency=urgency, contact_method=method, defaults={"delay_minutes": delay_minutes}
    )
    return rule


def in_order_of_use(rule: NotificationRule) -> tuple[int, bool, str]:
    """A key to sort by: what comes first, and of what comes at once, pages in the app first."""
    method = rule.contact_method
    return rule.delay_minutes, method.channel != Channel.IN_APP, method.address


def in_words(rules: Iterable[NotificationRule]) -> str:
    """“At once: in the app and by email to ana@example.org; after 2 min: by email to …”. Empty for none."""
    by_delay: dict[int, list[str]] = {}
    for rule in sorted(rules, key=in_order_of_use):
        method = rule.contact_method
        phrase = Channel(method.channel).phrase
        by_delay.setdefault(rule.delay_minutes, []).append(
            f"{phrase} to {method.label or method.shown_address}" if method.address else phrase
        )
    parts = (
        f"{f'after {delay} min' if delay else 'at once'}: {listed(ways)}" for delay, ways in by_delay.items()
    )
    words = "; ".join(parts)
    return words[:1].upper() + words[1:]
