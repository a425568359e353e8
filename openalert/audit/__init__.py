"""The audit log: who did what, when, from where, and how it was before and after. See docs/security.md.

`record` writes what happened; `tracking` does so for every saved or deleted row of configuration by itself. Both write into
`openalert_auditentry`, in which the database lets nothing be changed, in the transaction that they are called in.
"""

from openalert.acting import Source, acting_as, current

from .log import action_on, record, record_all, secret_shown
from .tracking import changed_all, created_all, seeding, update

__all__ = [
    "Source",
    "acting_as",
    "action_on",
    "changed_all",
    "created_all",
    "current",
    "record",
    "record_all",
    "secret_shown",
    "seeding",
    "update",
]
