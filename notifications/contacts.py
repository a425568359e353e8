"""A person's contact methods and rules: what they have when they have chosen nothing."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from incidents.enums import Urgency
from teams.models import User

from .enums import Channel
from .models import ContactMethod, NotificationRule


def ensure_default_methods(user: User) -> None:
    """Give a person without any contact method pages in the app and to their account's address, at once.

    Nobody is unreachable for never having opened the settings page. Repeating it changes nothing.
    """
    if ContactMethod.objects.filter(user=user).exists():
        return
    methods = [
        ContactMethod(user=user, channel=Channel.IN_APP),
        ContactMethod(user=user, channel=Channel.EMAIL, address=user.email),
    ]
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


def rules_for(users: Iterable[User], urgency: Urgency) -> dict[UUID, list[NotificationRule]]:
    """The rules by which each person is to be reached now, by the person's id.

    Somebody with working methods but without a rule for this urgency is reached by all of them at once:
    silence must be asked for by switching the methods off. Those who did that are not in the result.
    """
    users = list(users)
    methods = _methods_by_user(users)
    for user in users:
        if user.pk not in methods:
            ensure_default_methods(user)
    methods |= _methods_by_user(user for user in users if user.pk not in methods)
    rules: dict[UUID, list[NotificationRule]] = {}
    for rule in NotificationRule.objects.filter(
        user__in=users, urgency=urgency, contact_method__is_enabled=True
    ).select_related("contact_method"):
        rules.setdefault(rule.user_id, []).append(rule)
    for user in users:
        if user.pk not in rules:
            at_once = [
                NotificationRule(user=user, urgency=urgency, contact_method=method)
                for method in methods.get(user.pk, [])
                if method.is_enabled
            ]
            if at_once:
                rules[user.pk] = at_once
    return rules


def _methods_by_user(users: Iterable[User]) -> dict[UUID, list[ContactMethod]]:
    methods: dict[UUID, list[ContactMethod]] = {}
    for method in ContactMethod.objects.filter(user__in=list(users)):
        methods.setdefault(method.user_id, []).append(method)
    return methods
