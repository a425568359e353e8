"""Celery's doors into the engine."""

from celery import shared_task

from openalert import pulse

from . import changes, engine


@shared_task
def tick() -> None:
    """Every second, and whenever a run is armed: carry out what is due."""
    engine.tick()
    pulse.note(pulse.TICK)


@shared_task
def resume() -> None:
    """Every second: go on where an acknowledgement has run out."""
    while changes.resume():
        pass
