"""How the outbox does, in statements for whoever watches it on a connection of their own (openalert.health)."""

from openalert.health import statements

# Waits although it is due: due now and not sent, whatever holds it back.
OUTBOX = """
SELECT count(*), count(*) FILTER (WHERE due_at <= now()),
    extract(epoch FROM now() - min(due_at) FILTER (WHERE due_at <= now()))::float8
FROM notifications_notification WHERE status IN ('pending', 'sending')
"""
BY_CHANNEL = """
SELECT channel, count(*), count(*) FILTER (WHERE due_at <= now())
FROM notifications_notification WHERE status IN ('pending', 'sending') GROUP BY channel
"""
DEAD_LETTERS = (
    "SELECT count(*) FROM notifications_notification WHERE status = 'dead' AND discarded_at IS NULL"
)
PROVIDERS = """
SELECT name, coalesce(paused_until > now(), false), open_until IS NOT NULL, failures
FROM notifications_provideraccount ORDER BY name
"""


def connect() -> None:
    statements.register(
        outbox=OUTBOX, outbox_by_channel=BY_CHANNEL, dead_letters=DEAD_LETTERS, providers=PROVIDERS
    )
