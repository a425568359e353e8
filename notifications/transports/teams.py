"""Pages in Microsoft Teams, as adaptive cards by the webhook of a workflow (Microsoft: Create incoming webhooks with
Workflows; Adaptive Cards 1.4). The buttons are links; whoever follows one signs in, as a channel has many readers."""

from typing import Any

from notifications.enums import Action
from notifications.exceptions import DeliveryError
from openalert import outward

from . import http
from .base import Message

LONGEST_ANSWER = 4096


class TeamsTransport:
    account = "teams"
    can_be_answered = True

    def is_configured(self) -> bool:
        return True

    def why_off(self) -> str:
        return ""

    def send(self, message: Message) -> str:
        post(message.address, card(message))
        return ""


def post(address: str, body: dict[str, Any]) -> None:
    """Raises DeliveryError."""
    with http.told("Teams"), outward.guarded(), outward.session() as session:
        answer = session.post(address, json=body, timeout=http.timeouts(), allow_redirects=False, stream=True)
        words = answer.raw.read(LONGEST_ANSWER, decode_content=True).decode(errors="replace")
    if answer.status_code in (404, 410):
        raise DeliveryError(f"Teams answered {answer.status_code}: the webhook is gone", breaks_method=True)
    if not answer.ok or answer.is_redirect:
        raise http.failure("Teams", answer.status_code, answer.headers, words)
    # An older connector answers 200 whatever came of it: “1”, or what went wrong.
    if words.strip() not in ("", "1") and "error" in words.lower():
        is_throttled = "429" in words
        raise DeliveryError(
            f"Teams did not take it: {' '.join(words.split())[:300]}",
            retry_after=http.USUAL_PAUSE if is_throttled else None,
        )


def text(words: str, **options: Any) -> dict[str, Any]:
    """A text block. Teams reads some Markdown in it; an alert's words are escaped."""
    return {"type": "TextBlock", "text": escaped(words), "wrap": True, **options}


MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>~"})


def escaped(words: str) -> str:
    return words.translate(MARKDOWN)


def card(message: Message) -> dict[str, Any]:
    body: list[dict[str, Any]] = [
        text(message.subject, weight="Bolder", size="Medium"),
        text(message.text),
    ]
    if message.facts:
        facts = [{"title": name, "value": escaped(value)} for name, value in message.facts]
        body.append({"type": "FactSet", "facts": facts})
    links = [(message.label_of(Action(name)), address) for name, address in message.answers.items()]
    return envelope(body, [*links, ("Open", message.href)])


def envelope(body: list[dict[str, Any]], links: list[tuple[str, str]]) -> dict[str, Any]:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": title, "url": address} for title, address in links],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}
