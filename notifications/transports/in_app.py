"""Pages in the app: the notification itself is what the person sees; a toast shows it on open pages."""

from collections.abc import Sequence

from incidents import rooms

from .base import Message


class InAppTransport:
    account = "in_app"
    can_be_answered = True  # the toast leads to the incident's buttons

    def is_configured(self) -> bool:
        return True

    def why_off(self) -> str:
        return ""

    def send(self, message: Message) -> str:
        [provider_id] = self.send_together([message])
        return provider_id

    def send_together(self, messages: Sequence[Message]) -> list[str]:
        rooms.publish_to_users((message.user.pk, "toast", _toast(message)) for message in messages)
        return [""] * len(messages)


def _toast(message: Message) -> dict[str, str]:
    return {
        "title": message.subject,
        "body": message.text.partition("\n")[0],
        "severity": message.severity,
        "href": message.href,
        "notification_id": str(message.notification_id),
    }
