"""Choices of the notifications app."""

from django.db import models


class Channel(models.TextChoices):
    """By what a page travels; each has a transport of the same name."""

    IN_APP = "in_app", "In the app"
    EMAIL = "email", "Email"
    SMS = "sms", "SMS"
    VOICE = "voice", "Phone call"
    WEB_PUSH = "web_push", "Push to a browser"
    MOBILE_PUSH = "mobile_push", "Push to a phone app"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    APPRISE = "apprise", "Another messenger"

    @property
    def phrase(self) -> str:
        """How it reads in a sentence: paged “in the app”, “by email”."""
        return PHRASES[self]


PHRASES = {
    Channel.IN_APP: "in the app",
    Channel.EMAIL: "by email",
    Channel.SMS: "by SMS",
    Channel.VOICE: "by phone call",
    Channel.WEB_PUSH: "by push to a browser",
    Channel.MOBILE_PUSH: "by push to a phone",
    Channel.SLACK: "in Slack",
    Channel.TEAMS: "in Microsoft Teams",
    Channel.APPRISE: "by another messenger",
}

# A device's own address, which nobody can guess: whoever hands it in has the device. And our own pages.
KNOWN_BY_ITSELF = (Channel.IN_APP, Channel.WEB_PUSH, Channel.MOBILE_PUSH)


class NotificationStatus(models.TextChoices):
    PENDING = "pending", "Waiting"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    DEAD = "dead", "Failed for good"
    CANCELLED = "cancelled", "No longer needed"


UNFINISHED = (NotificationStatus.PENDING, NotificationStatus.SENDING)


class Hold(models.TextChoices):
    """Why a notification waits longer than its rule says."""

    QUIET_HOURS = "quiet_hours", "Waits for the end of quiet hours"
    BUNDLE = "bundle", "Waits to go with others in one message"
    LIMIT = "limit", "Waits: the provider’s limit for a minute is used up"
    PAUSE = "pause", "Waits: the provider asked for a pause"
    BREAKER = "breaker", "Waits: the provider is failing"


class Purpose(models.TextChoices):
    PAGE = "page", "Page"
    TEST = "test", "Test page"
    NOTICE = "notice", "Notice"
    VERIFICATION = "verification", "Code that verifies a contact method"


class AttemptStatus(models.TextChoices):
    STARTED = "started", "Started"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    ABANDONED = "abandoned", "Abandoned: the sender died or was too slow"


class Receipt(models.TextChoices):
    """What a provider tells of a message after it took it."""

    NOTHING = "nothing", "Nothing told yet"
    PASSED_ON = "passed_on", "Passed on"
    RINGING = "ringing", "Ringing"
    DELIVERED = "delivered", "Delivered"
    ANSWERED = "answered", "Answered"
    MACHINE = "machine", "Answered by a machine"
    UNANSWERED = "unanswered", "Not answered"
    UNDELIVERED = "undelivered", "Not delivered"
    BOUNCED = "bounced", "Bounced"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"

    @property
    def is_failure(self) -> bool:
        """It did not reach the person. A machine that picked up is none: the message is on it."""
        return self in (
            Receipt.UNANSWERED,
            Receipt.UNDELIVERED,
            Receipt.BOUNCED,
            Receipt.UNSUBSCRIBED,
        )

    @property
    def rank(self) -> int:
        """Providers tell out of order and twice: what has a higher rank is never taken back by a lower one."""
        return RECEIPT_RANKS[self]


RECEIPT_RANKS = {
    Receipt.NOTHING: 0,
    Receipt.PASSED_ON: 1,
    Receipt.RINGING: 2,
    Receipt.DELIVERED: 4,
    Receipt.ANSWERED: 4,
    Receipt.MACHINE: 5,  # the call is “answered” too, by it
    Receipt.UNANSWERED: 3,
    Receipt.UNDELIVERED: 3,
    Receipt.BOUNCED: 5,  # some mail servers take a mail and send it back later
    Receipt.UNSUBSCRIBED: 6,
}


class Action(models.TextChoices):
    """What a person can answer a page with."""

    ACKNOWLEDGE = "acknowledge", "Acknowledge"
    RESOLVE = "resolve", "Resolve"


class ReplyOutcome(models.TextChoices):
    DONE = "done", "Done"
    ALREADY = "already", "Already so"
    REFUSED = "refused", "Refused"
    UNCLEAR = "unclear", "Not understood"
    STRANGER = "stranger", "Unknown sender"


class WebhookFormat(models.TextChoices):
    """In what words a webhook is told: for programs, or as a line in a chat."""

    OPENALERT = "openalert", "JSON, signed (Standard Webhooks)"
    SLACK = "slack", "A message in Slack (incoming webhook)"
    TEAMS = "teams", "A card in Microsoft Teams (workflow webhook)"


class WebhookEvent(models.TextChoices):
    OPENED = "incident.opened", "Opened"
    ACKNOWLEDGED = "incident.acknowledged", "Acknowledged"
    UNACKNOWLEDGED = "incident.unacknowledged", "Put back to open"
    SNOOZED = "incident.snoozed", "Snoozed"
    WOKEN = "incident.woken", "Snooze ended"
    RESOLVED = "incident.resolved", "Resolved"
    REOPENED = "incident.reopened", "Reopened"
    SEVERITY_CHANGED = "incident.severity_changed", "Severity changed"
    MERGED = "incident.merged", "Merged into another incident"
    TEST = "webhook.test", "Test"

    @classmethod
    def of_incidents(cls) -> list[tuple[str, str]]:
        """The choices that a webhook can ask for; a test is sent by hand."""
        return [choice for choice in cls.choices if choice[0] != cls.TEST]


class WebhookDeliveryStatus(models.TextChoices):
    PENDING = "pending", "Waiting"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    DEAD = "dead", "Failed for good"
