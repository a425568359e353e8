"""Pages in Slack, as messages with buttons by a bot (Slack: chat.postMessage). What the buttons send comes to
notifications.hooks.slack."""

import urllib.error
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from notifications.exceptions import DeliveryError

from . import http
from .base import Message, require_on

LONGEST_TEXT = 2900  # of a section's 3000
BAD_ADDRESS = {
    "channel_not_found",
    "user_not_found",
    "users_not_found",
    "is_archived",
    "not_in_channel",
    "user_disabled",
    "account_inactive_user",
    "messages_tab_disabled",
}
# Slack's trouble, or our installation's, which somebody may mend.
MAY_PASS = {
    "internal_error",
    "fatal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "ratelimited",
    "rate_limited",
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "not_allowed_token_type",
    "org_login_required",
    "ekm_access_denied",
}


class SlackTransport:
    account = "slack"
    can_be_answered = True

    def is_configured(self) -> bool:
        return bool(settings.SLACK_BOT_TOKEN)

    def why_off(self) -> str:
        return "" if self.is_configured() else "Set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET."

    def send(self, message: Message) -> str:
        """Returns “channel:ts”, by which Slack knows the message."""
        require_on(self)
        client = WebClient(
            settings.SLACK_BOT_TOKEN,
            base_url=urljoin(settings.SLACK_API_URL, "/api/"),
            timeout=settings.PROVIDER_TIMEOUT_SECONDS,
            retry_handlers=[],
        )
        try:
            answer = client.chat_postMessage(
                channel=message.address,
                text=escaped(message.subject),
                blocks=blocks(message),
                unfurl_links=False,
            )
        except SlackApiError as error:
            raise _failure(error) from error
        except (SlackClientError, urllib.error.URLError, OSError, ValueError) as error:
            raise DeliveryError(f"Slack could not be reached: {type(error).__name__}") from error
        if not answer.get("ts"):
            raise DeliveryError("Slack answered without the message's time stamp")
        return f"{answer.get('channel', '')}:{answer['ts']}"


def _failure(error: SlackApiError) -> DeliveryError:
    """Slack answers most failures with 200 and `ok: false`."""
    response: Any = error.response
    status, code = response.status_code, str(response.get("error") or "")
    if status >= 300:
        return http.failure("Slack", status, response.headers or {}, code)
    words = f"Slack refused it: {code or 'without a reason'}"
    if code in BAD_ADDRESS:
        return DeliveryError(words, breaks_method=True)
    if code in ("ratelimited", "rate_limited"):
        return DeliveryError(words, retry_after=http.pause(response.headers or {}) or http.USUAL_PAUSE)
    # What is no word of Slack's came from something between us.
    return DeliveryError(words, permanent=code.replace("_", "").isalnum() and code not in MAY_PASS)


def escaped(text: str) -> str:
    """Text as Slack's mrkdwn has it: no links, mentions or channels are made of what an alert said."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text[:LONGEST_TEXT], "emoji": False}


def blocks(message: Message) -> list[dict[str, Any]]:
    """Block Kit, in plain text wherever an alert's words stand."""
    parts: list[dict[str, Any]] = [
        {"type": "header", "text": plain(message.subject[:150])},
        {"type": "section", "text": plain(message.text)},
    ]
    if message.facts:
        fields = [plain(f"{name}: {value}"[:2000]) for name, value in message.facts]
        parts.append({"type": "section", "fields": fields})
    if message.actions:
        buttons: list[dict[str, Any]] = [
            {
                "type": "button",
                "action_id": action.value,
                "text": plain(message.label_of(action)),
                "value": str(message.notification_id),
            }
            for action in message.actions
        ]
        buttons[0]["style"] = "primary"
        buttons.append({"type": "button", "action_id": "open", "text": plain("Open"), "url": message.href})
        parts.append({"type": "actions", "elements": buttons})
    return parts


def told_blocks(blocks: Any, words: str) -> list[dict[str, Any]]:
    """The message with the answer in the place of its buttons."""
    kept = [block for block in blocks if isinstance(block, dict) and block.get("type") != "actions"]
    return [*kept[:20], {"type": "section", "text": plain(words)}]
