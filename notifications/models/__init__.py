"""The tables of the notifications app, a module for each matter."""

from .answers import Reply, Verification
from .paging import (
    LONGEST_ADDRESS,
    WEEKDAYS,
    ContactMethod,
    DeliveryAttempt,
    MailboxMessage,
    Notification,
    NotificationRule,
    OperationsTeam,
    ProviderAccount,
    QuietHours,
)
from .webhooks import Webhook, WebhookDelivery

__all__ = [
    "LONGEST_ADDRESS",
    "WEEKDAYS",
    "ContactMethod",
    "DeliveryAttempt",
    "MailboxMessage",
    "Notification",
    "NotificationRule",
    "OperationsTeam",
    "ProviderAccount",
    "QuietHours",
    "Reply",
    "Verification",
    "Webhook",
    "WebhookDelivery",
]
