"""Wake-ups: urgent ones are taken before others that came earlier."""

from celery import current_app
from kombu import Connection

from openalert import wake


def test_workers_take_the_most_urgent_first(settings, db, monkeypatch):
    monkeypatch.setattr(wake, "_paused_until", 0.0)
    for number, priority in enumerate((3, 2, 3, 0, 1)):
        wake._send("notifications.tasks.deliver", (str(number),), priority)
    with Connection(settings.CELERY_BROKER_URL) as broker:
        queue = broker.SimpleQueue(current_app.amqp.queues["delivery"])
        taken = []
        for _ in range(5):
            message = queue.get(timeout=5)
            message.ack()
            taken.append(message.payload[0][0])
        queue.close()
    assert taken == ["3", "4", "1", "0", "2"]
