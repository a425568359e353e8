"""A backup is restored into an empty server of its own, and holds the same."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from escalations import engine
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents import lifecycle
from incidents.enums import Severity
from incidents.timeline import SYSTEM
from openalert.backup import BackupError, find_program
from openalert.embedded.places import Places
from openalert.embedded.servers import EmbeddedServers
from openalert.testing import variables_for
from teams.tests.factories import ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def filled():
    """Something in many tables: an incident of which ana has been paged."""
    service = ServiceFactory()
    policy = PolicyFactory(team=service.team, levels=[[UserFactory(name="Ana “Störung” Ruiz")]])
    RoutingRuleFactory(team=service.team, policy=policy)
    for number in range(20):
        lifecycle.open_by_hand(
            service=service, title=f"It's broken: {number}\n\\x00", severity=Severity.HIGH, actor=SYSTEM
        )
    engine.tick()


@pytest.fixture(scope="module")
def other_server(tmp_path_factory):
    """A PostgreSQL with an empty database."""
    folder = tmp_path_factory.mktemp("other")
    folder.chmod(0o755)
    with EmbeddedServers(Places(folder), durable=False) as servers:
        yield variables_for(servers.places)


def manage(environment, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(240)
def test_backup_is_restored_into_an_empty_server_and_holds_the_same(
    filled, embedded_environment, other_server, tmp_path
):
    file = tmp_path / "openalert.dump"
    made = manage(embedded_environment, "backup", str(file))
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    again = manage(embedded_environment, "backup", str(file))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    into_itself = manage(embedded_environment, "restore", str(file))
    assert (into_itself.returncode, "is not empty" in into_itself.stderr) == (1, True)

    restored = manage(other_server, "restore", str(file))
    assert restored.returncode == 0, restored.stderr
    ours, theirs = (manage(where, "digest_database") for where in (embedded_environment, other_server))
    assert ours.returncode == theirs.returncode == 0
    assert ours.stdout == theirs.stdout
    counts = dict(line.split()[:2] for line in ours.stdout.splitlines())
    assert (counts["incidents_incident"], counts["escalations_escalationrun"]) == ("20", "20")
    assert int(counts["incidents_timelineentry"]) >= 40

    ready = manage(other_server, "migrate", "--check")
    assert ready.returncode == 0, ready.stdout
    # What is not the same is seen: one letter of one row.
    with psycopg.connect(other_server["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "UPDATE incidents_incident SET title = title || '!' WHERE number = (SELECT min(number) FROM incidents_incident)"
        )
        [(heads,)] = connection.execute("SELECT count(*) FROM incidents_livehead")
    changed = manage(other_server, "digest_database").stdout.splitlines()
    different = [line.split()[0] for line in set(changed) - set(ours.stdout.splitlines())]
    assert different == ["incidents_incident"]
    assert heads == 0, "live events are numbered anew"


def test_file_that_is_no_backup_leaves_the_database_empty(other_server, tmp_path):
    database = f"{other_server['DATABASE_URL'].rpartition('/')[0]}/empty"
    with psycopg.connect(other_server["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty")
    (tmp_path / "broken").write_text("no dump")
    refused = manage({**other_server, "DATABASE_URL": database}, "restore", str(tmp_path / "broken"))
    assert (refused.returncode, "pg_restore failed" in refused.stderr) == (1, True)
    missing = manage({**other_server, "DATABASE_URL": database}, "restore", str(tmp_path / "none"))
    assert "There is no file" in missing.stderr
    assert manage({**other_server, "DATABASE_URL": database}, "digest_database").stdout == ""


def test_backup_that_cannot_be_made_leaves_no_file(embedded_environment, tmp_path):
    environment = {**embedded_environment, "DATABASE_URL": embedded_environment["DATABASE_URL"] + "-none"}
    failed = manage(environment, "backup", str(tmp_path / "x.dump"))
    assert (failed.returncode, "pg_dump failed" in failed.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_missing_program_is_named():
    with pytest.raises(BackupError, match="There is no pg_nonsense"):
        find_program("pg_nonsense", which=lambda name: None)


def test_commands_for_compose_in_the_docs_are_those_of_ours():
    from openalert.backup import DUMP, RESTORE

    text = (ROOT / "docs" / "operations.md").read_text()
    [dump] = [line for line in text.splitlines() if "postgres pg_dump " in line]
    [restore] = [line for line in text.splitlines() if "postgres pg_restore " in line]
    assert set(DUMP) <= set(dump.split())
    assert set(RESTORE) <= set(restore.split())
