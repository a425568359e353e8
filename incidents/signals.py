"""Facts about incidents, told inside the transaction that made them.

Each is sent with `incidents` (a list of Incident, rows locked) and `actor` (incidents.lifecycle.Actors).
Receivers write rows only: one that fails rolls the transition back.
"""

from django.dispatch import Signal

# Also with `labels`: of the alerts that an incident is opened for, by its id, as they are not stored yet.
incidents_opened = Signal()
incidents_acknowledged = Signal()
incidents_unacknowledged = Signal()
# Nobody resolved them in time. Whoever lets them run out goes on with the paging, so it is not told as unacknowledged.
incidents_acknowledgements_expired = Signal()
incidents_snoozed = Signal()
incidents_woken = Signal()
incidents_resolved = Signal()
incidents_reopened = Signal()
incidents_severity_changed = Signal()
# Resolved, as what they are about goes on in `target` (an Incident, row locked, unresolved). Not told as resolved.
incidents_merged = Signal()

# With `updates`, a list of StatusUpdate with incident, service and team loaded: subscribers are to be told.
status_updates_published = Signal()
# With `stakeholders`, a list of Stakeholder: they are to be asked whether they agree to get updates.
stakeholders_asked = Signal()
