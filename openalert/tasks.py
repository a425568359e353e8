"""Celery's doors into the installation's own upkeep."""

from celery import shared_task
from django.conf import settings
from django.core.management import call_command

from openalert import pulse
from openalert.audit import retention as audit_retention
from openalert.health import queue_watch


@shared_task
def note_beat() -> None:
    """Every five seconds, from beat alone: beat, broker and worker are there."""
    pulse.note(pulse.BEAT)


@shared_task
def check_queues() -> None:
    """Every five minutes: look at queues and outbox, and tell operations when they are not well."""
    queue_watch.look()


@shared_task
def remove_old_audit_entries() -> None:
    """Some times a day: what is older than AUDIT_RETENTION_DAYS."""
    audit_retention.remove_old_entries(days=settings.AUDIT_RETENTION_DAYS)


@shared_task
def remove_what_has_run_out() -> None:
    """Some times a day: sessions and refresh tokens that let nobody in any more."""
    call_command("clearsessions", verbosity=0)
    call_command("flushexpiredtokens", verbosity=0)
