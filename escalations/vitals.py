"""How the engine does, in statements for whoever watches it on a connection of their own (openalert.health)."""

# What waits for something (a window, working hours) has its due time when that ends.
DUE = """
SELECT count(*), extract(epoch FROM now() - min(due_at))::float8 FROM escalations_escalationrun
WHERE due_at <= now()
"""
RUNNING = "SELECT count(*) FROM escalations_escalationrun WHERE status = 'running'"
