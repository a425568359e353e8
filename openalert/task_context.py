"""What a task takes along from where it was sent, and what stands in the log while it runs.

Two headers of the message: the correlation id of whoever sent it, and when (for the age of a queue's oldest job). A
task that nobody's request has caused, like beat's, gets an id of its own.
"""

import time
from typing import Any

import structlog
from celery.signals import before_task_publish, task_failure, task_postrun, task_prerun

from openalert import acting, correlation_id, failed_tasks
from openalert.ids import uuid7_text

ID_HEADER = "openalert_correlation_id"
SENT_HEADER = "openalert_sent_at"


def connect() -> None:
    """Once in each process; openalert.celery does."""
    before_task_publish.connect(_stamp, weak=False, dispatch_uid=__name__)
    task_prerun.connect(_enter, weak=False, dispatch_uid=__name__)
    task_postrun.connect(_leave, weak=False, dispatch_uid=__name__)
    task_failure.connect(_note_failure, weak=False, dispatch_uid=__name__)


def headers() -> dict[str, str]:
    """For `send_task` from another thread than the one that asked for it."""
    return {ID_HEADER: value} if (value := correlation_id.current.get()) else {}


def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is None:
        return
    headers.setdefault(SENT_HEADER, time.time())
    if ID_HEADER not in headers and (value := correlation_id.current.get()):
        headers[ID_HEADER] = value


def _enter(task: Any = None, task_id: str = "", **_: Any) -> None:
    given = task.request.get(ID_HEADER)
    correlation_id.current.set(correlation_id.accept_or_make(given) if given else uuid7_text())
    acting.enter_task(task.name)
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)


def _leave(**_: Any) -> None:
    """The thread goes on to another task."""
    structlog.contextvars.clear_contextvars()
    acting.leave_task()
    correlation_id.current.set("")


def _note_failure(sender: Any = None, exception: BaseException | None = None, **_: Any) -> None:
    failed_tasks.note(sender.name if sender else "?", exception)
