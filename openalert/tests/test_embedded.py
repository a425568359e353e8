"""The embedded servers: started, ended, killed, and put on folders that are no good."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from openalert.embedded.errors import EmbeddedError
from openalert.embedded.places import DATABASE, LONGEST_SOCKET_PATH, POSTGRES_SOCKET, Places
from openalert.embedded.postgres import explain
from openalert.embedded.servers import EmbeddedServers, is_stopped

ROOT = Path(__file__).resolve().parent.parent.parent
# Started by a process that dies without a word. The second argument: whether the servers outlive it.
ABANDON = """
import os, signal, sys
from pathlib import Path
from openalert.embedded import process
from openalert.embedded.places import Places
from openalert.embedded.servers import EmbeddedServers
if sys.argv[2] == "outlive":
    process.LAUNCHER = Path(sys.argv[3])
EmbeddedServers(Places(Path(sys.argv[1])), durable=False).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike tmp_path, one that the servers' user may pass through when root runs the tests."""
    path = Path(tempfile.mkdtemp(prefix="openalert-folder-")).resolve()
    path.chmod(0o755)
    yield path
    places = Places(path / "data")
    for process in servers_of(places):
        process.kill()
    for sockets in (places.postgres_sockets, places.valkey_socket.parent, places.home):
        shutil.rmtree(sockets, ignore_errors=True)
    shutil.rmtree(path)


@pytest.fixture
def places(folder) -> Places:
    return Places(folder / "data")


def servers_of(places: Places) -> list[psutil.Process]:
    folders = {str(places.postgres), str(places.valkey)}
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] in folders]


def connect(places: Places) -> psycopg.Connection:
    return psycopg.connect(host=str(places.postgres_sockets), user=DATABASE, dbname=DATABASE, autocommit=True)


def message(places: Places) -> str:
    with pytest.raises(EmbeddedError) as caught:
        EmbeddedServers(places, durable=False).start()
    assert servers_of(places) == []
    return str(caught.value)


def abandon(places: Places, *how: str) -> None:
    command = [sys.executable, "-c", ABANDON, str(places.data), *how]
    result = subprocess.run(command, cwd=ROOT, timeout=60, check=False, capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr


def test_data_is_found_again(places):
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    assert (servers_of(places), is_stopped(places)) == ([], True)
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_servers_are_durable_and_in_utc(places):
    with (
        EmbeddedServers(places),
        connect(places) as connection,
        redis.Redis.from_url(places.redis_url) as valkey,
    ):
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("fsync", "synchronous_commit", "full_page_writes", "timezone", "max_connections")
        }
        encoding = connection.execute("SHOW server_encoding").fetchone()[0]
        policy = valkey.config_get("maxmemory-policy", "save")
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "timezone": "UTC",
        "max_connections": "100",
    }
    assert encoding == "UTF8"
    assert policy == {"maxmemory-policy": "noeviction", "save": ""}


def test_nobody_else_can_reach_them(places):
    with EmbeddedServers(places, durable=False) as servers:
        listening = [
            connection
            for child in servers.children
            for connection in psutil.Process(child.process.pid).net_connections("inet")
        ]
        modes = [
            stat.S_IMODE(path.stat().st_mode)
            for path in (places.postgres_sockets, places.valkey_socket.parent)
        ]
        owners = {process.uids().effective for process in servers_of(places)}
    assert listening == []
    assert modes == [0o700, 0o700]
    assert 0 not in owners


def test_servers_end_with_the_process_that_started_them(places):
    abandon(places, "die")
    deadline = time.monotonic() + 15
    while servers_of(places) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert servers_of(places) == []
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_servers_left_behind_are_ended_by_the_next_start(places, folder):
    """As on a system where nothing tells a child that its parent has died."""
    source = (ROOT / "openalert" / "embedded" / "launcher.py").read_text()
    launcher = folder / "launcher.py"
    launcher.write_text(source.replace('sys.platform == "linux"', "False"))
    abandon(places, "outlive", str(launcher))
    left = {process.pid for process in servers_of(places)}
    assert len(left) > 2
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert left & {process.pid for process in servers_of(places)} == set()


def test_killed_server_is_started_again_on_its_data(places):
    with EmbeddedServers(places) as servers:
        with connect(places) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        for child in servers.children:
            child.process.kill()
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_pid_file_of_the_past_is_no_obstacle(places):
    with EmbeddedServers(places, durable=False):
        pid_file = (places.postgres / "postmaster.pid").read_text()
    # Its number belongs to a living process now: this one.
    later = [str(os.getpid()), *pid_file.splitlines()[1:]]
    (places.postgres / "postmaster.pid").write_text("\n".join(later) + "\n")
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_start_that_was_cut_short_leaves_nothing_half_made(places):
    with EmbeddedServers(places, durable=False):
        pass
    places.postgres.rename(places.home / "postgres.draft")
    (places.home / "postgres.draft" / "PG_VERSION").unlink()
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (places.home / "postgres.draft").exists()


def test_second_start_on_the_same_folder_is_told_about_the_first(places):
    with EmbeddedServers(places, durable=False) as servers:
        with pytest.raises(EmbeddedError, match=f"already running on .* \\(process {os.getpid()}\\)"):
            EmbeddedServers(places, durable=False).start()
        assert all(child.is_running for child in servers.children)


def test_folder_that_is_a_file(places):
    places.data.write_text("")
    assert "it is a file" in message(places)


def test_folder_that_is_no_database(places):
    with EmbeddedServers(places, durable=False):
        pass
    (places.postgres / "PG_VERSION").unlink()
    assert "is not a PostgreSQL data folder" in message(places)


def test_database_of_another_version(places):
    with EmbeddedServers(places, durable=False):
        pass
    (places.postgres / "PG_VERSION").write_text("16\n")
    assert "was made by PostgreSQL 16, this OpenAlert brings PostgreSQL 18" in message(places)


def test_damaged_database(places):
    with EmbeddedServers(places, durable=False):
        pass
    (places.postgres / "global" / "pg_control").unlink()
    text = message(places)
    assert "PostgreSQL did not start" in text
    assert "pg_control" in text


def test_database_of_another_user(places):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    with EmbeddedServers(places, durable=False):
        pass
    os.chown(places.postgres, 54321, 54321)
    assert "belongs to the user with the id 54321" in message(places)


def test_folder_that_cannot_be_written(places):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    places.data.mkdir(mode=0o500)
    assert "is not ours to write" in message(places)


def test_socket_folder_of_somebody_else_is_not_used(folder):
    places = Places(folder / "data with spaces")
    places.postgres_sockets.mkdir(mode=0o755)
    try:
        assert "nobody but the user" in message(places)
    finally:
        places.postgres_sockets.rmdir()


def test_full_disk_is_named():
    output = "initdb: error: could not write file: No space left on device\n"
    assert explain("It failed", Path("/data"), output) == (
        "It failed: the disk that holds /data is full. Make room there and start again."
    )


@pytest.mark.parametrize("name", ["data", "data with spaces, and a comma", "d" * 120])
def test_sockets_have_addresses_that_fit(folder, name):
    places = Places(folder / name)
    for socket in (places.valkey_socket, places.postgres_sockets / f"{POSTGRES_SOCKET}.lock"):
        assert len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH
        assert " " not in str(socket)
        assert Places(folder / name).valkey_socket == places.valkey_socket


def test_long_and_odd_path_works(folder):
    places = Places(folder / ("d" * 100) / "with spaces")
    try:
        with EmbeddedServers(places, durable=False), connect(places) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with redis.Redis.from_url(places.redis_url) as valkey:
                assert valkey.ping() is True
    finally:
        shutil.rmtree(places.postgres_sockets)
        shutil.rmtree(places.valkey_socket.parent)


def test_root_keeps_its_home_closed(folder):
    """Under root, the servers' user cannot pass a folder like /root; the databases stand elsewhere then."""
    if os.geteuid() != 0:
        pytest.skip("concerns root only")
    folder.chmod(0o700)
    places = Places(folder / "data")
    assert places.home != places.data
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    assert (places.data / "home").readlink() == places.home
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with EmbeddedServers(places, durable=False), connect(places) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    moved = Places(folder / "moved")
    places.data.rename(moved.data)
    try:
        with EmbeddedServers(moved, durable=False), connect(moved) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
        shutil.rmtree(moved.data)
        with EmbeddedServers(moved, durable=False), connect(moved) as connection:
            assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
    finally:
        shutil.rmtree(moved.home)
