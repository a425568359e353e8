"""PostgreSQL and Valkey together, on one data folder."""

import errno
import fcntl
import os
import shutil
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from .binaries import find_binaries
from .errors import EmbeddedError
from .places import POSTGRES_SOCKET, SYSTEM_HOME, Places, owner
from .postgres import explain, postgres_program, prepare_postgres, wait_for_postgres
from .process import Child, Program, User
from .users import server_user
from .valkey import prepare_valkey, valkey_program, wait_for_valkey


class EmbeddedServers:
    """Both servers, from `start` to `stop`; the folder's lock is held in between.

    With `durable=False` PostgreSQL does not wait for the disk: for data that nobody will miss.
    """

    def __init__(self, places: Places, *, durable: bool = True) -> None:
        self.places = places
        self.durable = durable
        self.children: list[Child] = []
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start both and return when both answer. What an earlier start left behind is put in order first.

        Raises EmbeddedError, with nothing left running.
        """
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError(self._explain(error)) from error
            raise

    def claim(self) -> None:
        """Take the data folder, so that nobody else starts servers there. `start` does it if this has not.

        Raises EmbeddedError when it is taken, or is none.
        """
        if self._lock is not None:
            return
        data = self.places.data
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = hold_lock(self.places.lock)
        except (FileExistsError, NotADirectoryError):
            raise EmbeddedError(
                f"{data} should be the data folder, but it is a file, or a folder above it is one. Move it away, "
                "or name another folder in OPENALERT_DATA_DIR."
            ) from None
        except OSError as error:
            raise EmbeddedError(self._explain(error)) from error

    def stop(self) -> None:
        """End both, Valkey first, and release the folder. Repeating it changes nothing."""
        while self.children:
            self.children[-1].stop()
            self.children.pop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _start(self) -> None:
        places = self.places
        self.claim()
        user = server_user(places)
        if user:
            _give_home(places)
        binaries = find_binaries(user)
        prepare_postgres(places, binaries, user, durable=self.durable)
        prepare_valkey(places)
        for folder in (places.postgres_sockets, places.valkey, places.valkey_socket.parent):
            _make_private(folder, user)
        postgres, postgres_log = self._launch(postgres_program(places, binaries, user, durable=self.durable))
        valkey, valkey_log = self._launch(valkey_program(places, binaries, user))
        wait_for_postgres(postgres, places, postgres_log)
        wait_for_valkey(valkey, places, valkey_log)

    def _launch(self, program: Program) -> tuple[Child, int]:
        """The child, and the length of its log before it wrote to it."""
        log = self.places.log(program.name)
        length = log.stat().st_size if log.exists() else 0
        child = Child(program)
        self.children.append(child)
        return child, length

    def _explain(self, error: OSError) -> str:
        data = self.places.data
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return (
                f"The data folder {data} cannot be used: {error.filename or data} is not ours to write "
                f"({os.strerror(error.errno).lower()}). Give it to the user who starts OpenAlert, or name another "
                "folder in OPENALERT_DATA_DIR."
            )
        return explain("The embedded servers could not be started", data, str(error))


def is_stopped(places: Places) -> bool:
    """Whether no PostgreSQL listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(places.postgres_sockets / POSTGRES_SOCKET)) != 0


def hold_lock(path: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed, by the end of the process at the latest.

    Raises EmbeddedError when somebody else holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise EmbeddedError(
            f"OpenAlert is already running on the data folder {path.parent} (process {holder}). Stop that one, or "
            "name another data folder in OPENALERT_DATA_DIR and another port in PORT."
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _give_home(places: Places) -> None:
    """Under root: let the servers' user through to their folders."""
    if places.home == places.data:
        if owner(places.data) == 0:
            places.data.chmod(stat.S_IMODE(places.data.stat().st_mode) | stat.S_IXGRP | stat.S_IXOTH)
        return
    SYSTEM_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    # The link says whose home it is: without it, the data folder it belonged to was removed, and it should be too.
    link = places.data / "home"
    if link.is_symlink():
        former = link.readlink()
        if former != places.home and former.parent == SYSTEM_HOME and former.is_dir():
            former.rename(places.home)  # the data folder was moved
        link.unlink()
    elif places.home.exists():
        shutil.rmtree(places.home)
    places.home.mkdir(mode=0o755, exist_ok=True)
    link.symlink_to(places.home)


def _make_private(folder: Path, user: User | None) -> None:
    """Make the folder for its owner alone. One under /tmp may have been put there by somebody else: not used."""
    uid = user.uid if user else os.geteuid()
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if user:
            os.chown(folder, user.uid, user.gid)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != uid or stat.S_IMODE(state.st_mode) & 0o077:
        raise EmbeddedError(
            f"{folder} should be a folder that nobody but the user with the id {uid} can enter, and it is not. "
            "Remove it and start again."
        )
