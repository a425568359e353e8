"""What a provider has told of a message, in words."""

from dataclasses import dataclass

from .enums import Receipt

# Nobody heard the page: another way is tried, though nothing failed.
UNHEARD = (Receipt.UNANSWERED, Receipt.MACHINE)
PHRASES: dict[Receipt, str] = {
    Receipt.DELIVERED: "delivered",
    Receipt.ANSWERED: "the call was answered",
    Receipt.MACHINE: "a machine answered the call",
    Receipt.UNANSWERED: "the call was not answered",
    Receipt.UNDELIVERED: "not delivered",
    Receipt.BOUNCED: "bounced",
    Receipt.UNSUBSCRIBED: "unsubscribed",
}


@dataclass(frozen=True)
class Told:
    receipt: Receipt
    detail: str
    breaks_method: bool = False

    @property
    def words(self) -> str:
        phrase = PHRASES.get(self.receipt, "")
        return f"{phrase} ({self.detail})" if self.detail and self.receipt.is_failure else phrase

    @property
    def is_unheard(self) -> bool:
        return self.receipt in UNHEARD
