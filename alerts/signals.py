"""Facts about what the alerts app owns, told inside the transaction that made them.

Receivers write rows only: one that fails rolls the change back.
"""

from django.dispatch import Signal

# Sent with `windows` (a list of MaintenanceWindow), of which paging may have waited for other instants or services.
maintenance_windows_changed = Signal()
