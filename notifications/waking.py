"""The names of the outbox's tasks, and how long a wake-up may take."""

from datetime import timedelta

DELIVER_TASK = "notifications.tasks.deliver"
FALL_BACK_TASK = "notifications.tasks.fall_back"
# How long a wake-up may take to reach a worker before the page counts as left behind.
GRACE = timedelta(seconds=2)
