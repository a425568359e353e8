"""`manage.py rotate_encryption`: what is stored encrypted is encrypted with the first of ENCRYPTION_KEYS."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from openalert import encryption


class Command(BaseCommand):
    help = (
        "Encrypts with the first of ENCRYPTION_KEYS what an older key encrypted, and what was never encrypted. Afterwards the "
        "older keys may go. Everything may go on meanwhile; it may be stopped and repeated. Fails when something "
        "cannot be read, which is left as it is and named."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument("--check", action="store_true", help="count, and change nothing")
        ways.add_argument(
            "--decrypt",
            action="store_true",
            help="write plain values, to go back to a release without encryption",
        )

    def handle(self, *args: Any, check: bool, decrypt: bool, **options: Any) -> None:
        verb = "to be written" if check else "written"
        unreadable = 0
        for result in encryption.rotate(to_plain=decrypt, dry=check):
            self.stdout.write(f"{result.field}: {result.written} {verb}, {result.current} as they should be")
            for row in result.unreadable:
                self.stdout.write(f"  cannot be read: {row}")
            unreadable += len(result.unreadable)
        if unreadable:
            raise CommandError(
                f"{unreadable} cannot be read: their key is not among ENCRYPTION_KEYS. They are left as they are; name "
                "the key they were encrypted with, or enter them anew."
            )
