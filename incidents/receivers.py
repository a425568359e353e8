"""Answers to lower apps' facts."""

from typing import Any

from teams import signals
from teams.models import Notice

from . import rooms


def connect() -> None:
    signals.notices_given.connect(show_notices)


def show_notices(notices: list[Notice], **kwargs: Any) -> None:
    """A notice about schedules also appears on the person's open pages."""
    for notice in notices:
        body = notice.text.partition("\n")[0]
        toast = {"title": notice.subject, "body": body, "severity": "info", "href": notice.path}
        rooms.publish_to_user(notice.user_id, "toast", toast)
