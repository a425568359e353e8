"""pytest's plugin: every run has a PostgreSQL and a Valkey of its own, with nothing to install or start.

pytest.ini loads it (`-p openalert.testing`); with pytest-xdist each worker has its own pair.
"""

import asyncio
import faulthandler
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from django.conf import settings

from openalert.embedded.places import Places
from openalert.embedded.servers import EmbeddedServers

MOST_FLUSHES = 5
SECONDS_TO_END = 60

_servers = pytest.StashKey[EmbeddedServers]()
_folder = pytest.StashKey[Path]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Before pytest-django reads the settings: what they read must be there."""
    folder = Path(tempfile.mkdtemp(prefix="openalert-test-"))
    servers = EmbeddedServers(Places(folder.resolve()), durable=False)
    early_config.stash[_folder] = folder
    early_config.stash[_servers] = servers
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(variables_for(servers.places))
    early_config.add_cleanup(lambda: _stop(early_config))
    options = early_config.known_args_namespace
    # pytest-xdist's controller tests nothing itself.
    is_controller = getattr(options, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ
    if not is_controller and not options.collectonly:
        servers.start()
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Empty the tables again when that met a deadlock: processes that a test has started may be reading them just then."""
    from django.core.management import CommandError
    from django.core.management.commands.flush import Command
    from django.db import OperationalError, connection

    flush = Command.handle
    is_allowed = False

    def handle(self: Command, **options: Any) -> None:
        nonlocal is_allowed
        if not is_allowed:
            with (
                connection.cursor() as cursor
            ):  # between tests the audit log is emptied like every other table
                cursor.execute("ALTER TABLE openalert_auditentry DISABLE TRIGGER openalert_audit_keeps_all")
            is_allowed = True
        for attempt in range(1, MOST_FLUSHES + 1):
            try:
                flush(self, **options)
                return
            except CommandError as error:
                if attempt == MOST_FLUSHES or not isinstance(error.__cause__, OperationalError):
                    raise

    Command.handle = handle  # type: ignore[method-assign]
    asyncio.runners._cancel_all_tasks = _end_all_tasks  # type: ignore[attr-defined]


def _end_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """What asyncio.run does at its end, again and again: it asks once and then waits for ever, while Redis' client may make
    an error of its own of a cancellation, which Channels' task that hears from Redis takes for a fault and goes on."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks, timeout=0.2))


def _stop(config: pytest.Config) -> None:
    config.stash[_servers].stop()
    shutil.rmtree(config.stash[_folder], ignore_errors=True)
    # A thread that a test left behind would keep the process for ever: say where it stands, and fail. pytest-xdist ends
    # its workers itself, and late: when all of them are done.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        faulthandler.dump_traceback_later(SECONDS_TO_END, exit=True, file=sys.__stderr__ or 2)


def variables_for(places: Places, database: str | None = None) -> dict[str, str]:
    """The environment of a process that uses the servers at `places`, whatever a .env says."""
    host = quote(places.database["HOST"], safe="")
    return {
        "DATABASE_URL": f"postgres://{places.database['USER']}@{host}/{database or places.database['NAME']}",
        "DATABASE_PREPARED_STATEMENTS": "yes",
        "REDIS_URL": places.redis_url,
        "SECRET_KEY": "only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz",
        "ENCRYPTION_KEYS": "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OS1hYmNkZWY=",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "SITE_URL": "http://localhost",
        "EMAIL_URL": "mailbox://",
        "DEBUG": "true",  # static files straight from where they stand; pytest-django sets it to False for tests
        "LOG_LEVEL": "INFO",
        "DJANGO_SETTINGS_MODULE": "openalert.settings",
    }


VARIABLES = [
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "ALLOWED_HOSTS",
    "SITE_URL",
    "EMAIL_URL",
    "DEBUG",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "METRICS_TOKEN",
    "OPERATORS_EMAIL",
    "OPERATORS_WEBHOOK_URL",
    "HEARTBEAT_URL",
    "HEARTBEAT_SECONDS",
    "TIMELINE_RETENTION_DAYS",
    "PAGE_RETENTION_DAYS",
    "AUDIT_RETENTION_DAYS",
    "SIGN_IN_FAILURES",
    "SIGN_IN_COOL_OFF_MINUTES",
    "SECOND_FACTOR_REQUIRED",
    "OIDC_ISSUER",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
    "OIDC_NAME",
    "OIDC_SCOPES",
    "OIDC_GROUPS_CLAIM",
    "OIDC_REQUIRED_GROUP",
    "OIDC_LOCAL_SIGN_IN",
    "OIDC_REFRESH_MINUTES",
    "OPENALERT_DATA_DIR",
    "PORT",
    "BEHIND_TLS_PROXY",
    "FORWARDED_ALLOW_IPS",
    "HSTS_SECONDS",
    "DATABASE_POOL_SIZE",
    "DATABASE_PREPARED_STATEMENTS",
    "ALERT_RETENTION_DAYS",
    "INTAKE_ALERTS_PER_MINUTE",
    "DRAIN_SECONDS",
    "INTAKE_MAIL_DOMAIN",
    "INTAKE_SMTP_HOST",
    "INTAKE_SMTP_PORT",
    "INTAKE_SMTP_CERTIFICATE",
    "INTAKE_SMTP_CERTIFICATE_KEY",
    "WORKER_CONCURRENCY",
    "PROVIDER_LIMIT_PER_MINUTE",
    "PROVIDER_LIMITS",
    "BUNDLE_ABOVE_PER_MINUTE",
    "EMAIL_TIMEOUT_SECONDS",
    "DEFAULT_FROM_EMAIL",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_FROM_NUMBER",
    "TWILIO_MESSAGING_SERVICE_SID",
    "TWILIO_API_URL",
    "FEATURE_VOICE_CALLS",
    "PHONE_REGION",
    "SENDGRID_API_KEY",
    "SENDGRID_EVENT_PUBLIC_KEY",
    "SENDGRID_API_URL",
    "WEB_PUSH_PRIVATE_KEY",
    "WEB_PUSH_CONTACT",
    "FCM_SERVICE_ACCOUNT_FILE",
    "FCM_API_URL",
    "SLACK_BOT_TOKEN",
    "SLACK_SIGNING_SECRET",
    "SLACK_API_URL",
    "APPRISE_SCHEMES",
    "PROVIDER_TIMEOUT_SECONDS",
    "OUTGOING_ALLOWED_NETWORKS",
]


@pytest.fixture(autouse=True)
def empty_valkey(valkey: redis.Redis) -> None:
    """Each test finds Valkey empty."""
    valkey.flushall()


@pytest.fixture(autouse=True)
def rested_intake() -> Iterator[None]:
    """Intake and live rooms keep connections of their own; the database of the tests is to be dropped some time."""
    yield
    if "incidents.rooms" in sys.modules:
        sys.modules["incidents.rooms"].publisher.close()
    if "openalert.asgi" in sys.modules:
        sys.modules["openalert.asgi"].intake_application.close()


@pytest.fixture(scope="session")
def valkey(pytestconfig: pytest.Config) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(pytestconfig.stash[_servers].places.redis_url) as client:
        yield client


@pytest.fixture
def embedded_environment(pytestconfig: pytest.Config) -> dict[str, str]:
    """The environment of a process (uvicorn, celery, manage.py) that works on the same database and Valkey as the test."""
    places = pytestconfig.stash[_servers].places
    return {**os.environ, **variables_for(places, settings.DATABASES["default"]["NAME"])}
