"""The tables of the notifications app, a module for each matter."""

from .answers import Reply, Verification
from .contacts import LONGEST_ADDRESS, WEEKDAYS, ContactMethod, NotificationRule, QuietHours
from .counted import ChangedPages, CountedPagesMonth, MonthlyPages
from .operations import OperationsTeam, ProviderAccount
from .paging import DeliveryAttempt, MailboxMessage, Notification
from .subscriber_mail import SubscriberMail
from .webhooks import Webhook, WebhookDelivery

__all__ = [
    "LONGEST_ADDRESS",
    "WEEKDAYS",
    "ChangedPages",
    "ContactMethod",
    "CountedPagesMonth",
    "DeliveryAttempt",
    "MailboxMessage",
    "MonthlyPages",
    "Notification",
    "NotificationRule",
    "OperationsTeam",
    "ProviderAccount",
    "QuietHours",
    "Reply",
    "SubscriberMail",
    "Verification",
    "Webhook",
    "WebhookDelivery",
]
