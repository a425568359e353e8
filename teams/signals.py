"""What happened in the teams app, told inside the transaction, always with a list."""

from django.dispatch import Signal

# schedules: list[Schedule]. Their rotations, overrides or fallbacks are other ones from now on.
schedules_changed = Signal()
