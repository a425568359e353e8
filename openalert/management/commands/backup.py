"""`manage.py backup FILE`: the whole database in one file, while everything runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from openalert import backup
from openalert.settings import environment as settings_environment


class Command(BaseCommand):
    help = (
        "Writes the whole database to a new file, in pg_dump's custom format. Everything may go on meanwhile."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            backup.dump(settings.DATABASES["default"], file)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{file}: {file.stat().st_size:,} bytes")
        self.stdout.write(f"Its secrets are encrypted: keep {keys_name()} too, and apart from it.")


def keys_name() -> str:
    places = settings_environment.places
    return str(places.data / "encryption_key") if settings.EMBEDDED else "ENCRYPTION_KEYS"
