"""`manage.py seed_demo`: the demo's teams, people and history, in an empty installation."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from openalert import demo


class Command(BaseCommand):
    help = "Write the demo into an empty installation; where there are people already, nothing is changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--force",
            action="store_true",
            help="also with servers of one's own: the accounts' password is known",
        )

    def handle(self, *args: Any, force: bool, **options: Any) -> None:
        if not (settings.EMBEDDED or force):
            raise CommandError(
                "The demo's accounts have a known password: say --force if that is what you want."
            )
        demo.seed()
