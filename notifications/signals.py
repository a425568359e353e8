"""Facts about pages, told inside the transaction that made them, always with a list."""

from django.dispatch import Signal

# A provider took them and told later that they did not arrive: `notifications` (rows locked, dead now) and
# `breaks_method`, whether the address itself is no good.
pages_undelivered = Signal()
