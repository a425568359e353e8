"""The tables of the notifications app, a module for each matter."""

from .answers import Reply, Verification
from .paging import (
    LONGEST_ADDRESS,
    ContactMethod,
    DeliveryAttempt,
    MailboxMessage,
    Notification,
    NotificationRule,
)
from .webhooks import Webhook, WebhookDelivery

__all__ = [
    "LONGEST_ADDRESS",
    "ContactMethod",
    "DeliveryAttempt",
    "MailboxMessage",
    "Notification",
    "NotificationRule",
    "Reply",
    "Verification",
    "Webhook",
    "WebhookDelivery",
]
