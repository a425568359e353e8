"""How many incidents there are, in a statement for whoever watches it on a connection of their own (openalert.health)."""

from openalert.health import statements

UNRESOLVED = """
SELECT severity, status, count(*) FROM incidents_incident WHERE status <> 'resolved' GROUP BY severity, status
"""


def connect() -> None:
    statements.register(unresolved_incidents=UNRESOLVED)
