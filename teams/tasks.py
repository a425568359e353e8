"""Celery's doors into teams."""

from celery import shared_task

from . import calendars, coverage, hand_overs, notices, swaps


@shared_task
def tell_who_comes_on_call() -> None:
    """Every minute: tell those who go on call within the hour."""
    hand_overs.give_notices()


@shared_task
def send_notices() -> None:
    """Every few seconds: send the notices that are due."""
    notices.send_due()


@shared_task
def expire_swaps() -> None:
    """Every minute: end the requests that nobody has answered in time."""
    while swaps.expire() == swaps.BATCH:
        pass


@shared_task
def refresh_calendars() -> None:
    """Every minute: fetch the calendars that are due."""
    calendars.refresh_due()


@shared_task
def look_ahead() -> None:
    """Some times a day: tell managers what will go wrong with their schedules."""
    coverage.tell_managers()
