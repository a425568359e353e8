"""How the engine does, in statements for whoever watches it on a connection of their own (openalert.health)."""

from openalert.health import statements

# What waits for something (a window, working hours) has its due time when that ends.
DUE = """
SELECT count(*), extract(epoch FROM now() - min(due_at))::float8 FROM escalations_escalationrun
WHERE due_at <= now()
"""


def connect() -> None:
    statements.register(escalations_due=DUE)
