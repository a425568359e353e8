"""What a transport is: it hands a message over, or raises a DeliveryError that knows if it is permanent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard
from uuid import UUID

from teams.models import User


@dataclass(frozen=True)
class Message:
    """A notification, rendered. `subject` is one line; `html` may be empty; `href` is absolute.

    `request_id` names this try at handing it over: for providers that want such a name, and for their logs.
    """

    notification_id: UUID
    user: User
    address: str
    subject: str
    text: str
    html: str
    href: str
    severity: str
    request_id: str = ""


class Transport(Protocol):
    """`account` names whose limits and failures count together, like “smtp” or “twilio”."""

    account: str
    can_be_answered: bool

    def is_configured(self) -> bool:
        """Whether this installation can use it; it is off without its credentials."""
        ...

    def why_off(self) -> str:
        """What an administrator has to do before it can be used; "" when it can."""
        ...

    def send(self, message: Message) -> str:
        """Hand the message over and return the provider's id for it, "" when there is none.

        Blocks at most as long as the outbox's lease. Raises DeliveryError.
        """
        ...


class TogetherTransport(Transport, Protocol):
    """One that hands many messages over in one call."""

    def send_together(self, messages: Sequence[Message]) -> list[str]:
        """Hand all of them over and return the provider's ids in their order; when it raises, none was taken."""
        ...


def sends_together(transport: Transport) -> TypeGuard[TogetherTransport]:
    return hasattr(transport, "send_together")
