"""`manage.py restore FILE`: an empty database is filled from what `backup` wrote."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from openalert import backup


class Command(BaseCommand):
    help = (
        "Fills the empty database that DATABASE_URL names from a backup, whole or not at all. Nothing else may use it "
        "meanwhile. Then `migrate`, and start."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            backup.restore(settings.DATABASES["default"], file)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"restored from {file}")
        self.stdout.write(
            "After `migrate`, `rotate_encryption --check` tells whether ENCRYPTION_KEYS can read its secrets."
        )
