"""What a transport is: it hands a message over, or raises a DeliveryError that knows if it is permanent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeGuard
from uuid import UUID

from notifications.enums import Action
from notifications.exceptions import DeliveryError
from teams.models import User


@dataclass(frozen=True)
class Message:
    """A notification, rendered for its channel. `subject` is one line; `html` may be empty; `href` is absolute.

    `facts` are names and values for cards; `actions` are what it can be answered with, and `answers` says at what
    address each of them is taken, where the channel carries links; `keys` are the contact method's own, for what is
    encrypted. `request_id` names this try at handing it over: for providers that want such a name, and for their logs.
    """

    notification_id: UUID
    user: User
    address: str
    subject: str
    text: str
    html: str
    href: str
    severity: str
    facts: tuple[tuple[str, str], ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    is_page: bool = False
    is_bundle: bool = False
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def label_of(self, action: Action) -> str:
        """What a button says that answers it."""
        return f"{action.label} all" if self.is_bundle else str(action.label)

    @property
    def text_without_links(self) -> str:
        """For whoever else reads it: with the answer links, anybody could answer in the person's name."""
        text = self.text
        for address in self.answers.values():
            text = text.replace(address, "(a link)")
        return text


class Mail(Protocol):
    """What an email is made of; `headers` are more than every mail has. A Message is one."""

    @property
    def notification_id(self) -> UUID: ...

    @property
    def address(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def html(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class Transport(Protocol):
    """`account` names whose limits and failures count together, like “smtp” or “twilio”.

    `can_be_answered`: whether an incident can be acknowledged from where the message arrives.
    """

    @property
    def account(self) -> str: ...

    @property
    def can_be_answered(self) -> bool: ...

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


class SharedTransport(Transport, Protocol):
    """One by which several providers are reached: the failures, pauses and limits of each are its own."""

    def account_at(self, address: str) -> str:
        """The account of the provider that this address is at: the transport's own `account`, or “account-name”."""
        ...

    def accounts(self) -> list[str]:
        """All that `account_at` may name."""
        ...


class TogetherTransport(Transport, Protocol):
    """One that hands many messages over in one call."""

    def send_together(self, messages: Sequence[Message]) -> list[str]:
        """Hand all of them over and return the provider's ids in their order; when it raises, none was taken."""
        ...


def is_shared(transport: Transport) -> TypeGuard[SharedTransport]:
    return hasattr(transport, "account_at")


def sends_together(transport: Transport) -> TypeGuard[TogetherTransport]:
    return hasattr(transport, "send_together")


def require_on(transport: Transport) -> None:
    """Raises DeliveryError when the installation cannot use it: trying again is no use, another way may work."""
    if why_off := transport.why_off():
        raise DeliveryError(f"this way is off in this installation. {why_off}", permanent=True)
