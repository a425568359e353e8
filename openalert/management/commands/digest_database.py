"""`manage.py digest_database`: what each table holds, for comparing two databases."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from openalert import backup


class Command(BaseCommand):
    help = (
        "Prints each table's number of rows and a digest of them, of one moment. Run it on two databases and compare "
        "with diff: the same lines are the same contents."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            digests = backup.digests(settings.DATABASES["default"])
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        for table, (count, digest) in digests.items():
            self.stdout.write(f"{table} {count} {digest}")
