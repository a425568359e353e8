"""Debian's PgBouncer in transaction mode, before the test's PostgreSQL."""

import contextlib
import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from django.db import connection

from .stack import eventually, free_port

# As docker-compose.yml has it, but for a pool that is smaller than the number of its clients.
CONFIGURATION = """
[databases]
{name} = host={host} dbname={name} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
{prepared}
default_pool_size = 8
max_client_conn = 500
server_check_delay = 0
logfile = {folder}/log
"""


def keeps_prepared_statements() -> bool:
    """Since 1.22, as far as we rely on it (.env.example)."""
    shown = subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)\.(\d+)", shown)
    assert version, shown
    return (int(version[1]), int(version[2])) >= (1, 22)


@contextlib.contextmanager
def running_pgbouncer() -> Iterator[str]:
    """Its DATABASE_URL for the test's database."""
    database, port = connection.settings_dict, free_port()
    with tempfile.TemporaryDirectory(prefix="openalert-pgbouncer-") as folder:
        configuration = Path(folder) / "pgbouncer.ini"
        configuration.write_text(
            CONFIGURATION.format(
                name=database["NAME"],
                host=database["HOST"],
                user=database["USER"],
                port=port,
                folder=folder,
                prepared="max_prepared_statements = 200" if keeps_prepared_statements() else "",
            )
        )
        command = ["pgbouncer", str(configuration)]
        if os.geteuid() == 0:  # it refuses to run as root; whoever owns PostgreSQL's folder may enter it
            owner = Path(database["HOST"]).stat().st_uid
            os.chown(folder, owner, -1)
            os.chown(configuration, owner, -1)
            command[1:1] = ["--user", pwd.getpwuid(owner).pw_name]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"postgres://{database['USER']}@127.0.0.1:{port}/{database['NAME']}"

        def answers() -> bool:
            log = Path(folder) / "log"
            assert child.poll() is None, log.read_text() if log.exists() else "it ended"
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as probe:
                return probe.execute("SELECT 1").fetchone() == (1,)
            return False

        try:
            eventually(answers, within=15, what="PgBouncer answers")
            yield url
        finally:
            child.terminate()
            child.wait(20)
