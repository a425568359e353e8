"""Pages in the app: the notification itself is what the person sees; a toast shows it on open pages."""

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
        toast = {
            "title": message.subject,
            "body": message.text.partition("\n")[0],
            "severity": message.severity,
            "href": message.href,
            "notification_id": str(message.notification_id),
        }
        rooms.publish_to_user(message.user.pk, "toast", toast)
        return ""
