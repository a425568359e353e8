#!/usr/bin/env python3
"""Django's command line for OpenAlert. `manage.py up` starts everything."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from openalert import settings
    from openalert.embedded.servers import is_stopped

    # A command has one connection; a pool would keep it waiting for a server that is not there.
    settings.DATABASES["default"]["OPTIONS"].pop("pool")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if settings.environment.embedded and is_stopped(settings.environment.places):
            sys.exit(f"{error}\nOpenAlert's own PostgreSQL is not running. Start it with `make run`.")
        raise


if __name__ == "__main__":
    main()
