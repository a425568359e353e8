"""Celery's doors into the engine."""

from celery import shared_task

from . import engine


@shared_task
def tick() -> None:
    """Every second, and whenever a run is armed: carry out what is due."""
    engine.tick()
