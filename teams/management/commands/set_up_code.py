"""`manage.py set_up_code`: where the first administrator is made, and the code that the page asks for."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from teams import first_admin


class Command(BaseCommand):
    help = "Tells the set-up code, with which the first administrator is made, while there is none."

    def handle(self, *args: Any, **options: Any) -> None:
        if not first_admin.is_wanted():
            raise CommandError("There is an administrator already: the set-up page is gone.")
        self.stdout.write(f"{settings.SITE_URL}/set-up/\n{first_admin.set_up_code()}")
