"""Where the embedded servers keep their things, and where they listen. Reads the file system, changes nothing."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# A socket's address has 108 bytes on Linux and 104 on macOS, one of them for the closing zero.
LONGEST_SOCKET_PATH = 103
POSTGRES_SOCKET = ".s.PGSQL.5432"
DATABASE = "openalert"
SYSTEM_HOME = Path("/var/lib/openalert")


@dataclass(frozen=True)
class Places:
    """What belongs to one data folder (an absolute path). The same folder always gives the same addresses, so
    that every process finds the servers without asking the one that started them."""

    data: Path

    @cached_property
    def home(self) -> Path:
        """The folder that holds the servers' own folders: the data folder, if they can get there.

        PostgreSQL refuses to run as root, so under root the servers run as another user. Where that user may
        not pass (a checkout under /root, say), their files go to /var/lib/openalert instead: opening root's
        home to everybody would be worse.
        """
        if os.geteuid() == 0 and owner(self.data) in (None, 0) and not open_to_everybody(self.data.parent):
            return SYSTEM_HOME / self._digest
        return self.data

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def valkey(self) -> Path:
        return self.home / "valkey"

    @property
    def lock(self) -> Path:
        return self.data / "lock"

    def log(self, name: str) -> Path:
        return self.data / f"{name}.log"

    @cached_property
    def postgres_sockets(self) -> Path:
        """The folder that is PostgreSQL's host name, to its clients."""
        return self._fit(self.postgres, POSTGRES_SOCKET + ".lock")

    @cached_property
    def valkey_socket(self) -> Path:
        return self._fit(self.valkey, "valkey.sock") / "valkey.sock"

    @property
    def database(self) -> dict[str, str]:
        """The parameters of a connection, in Django's words."""
        return {
            "NAME": DATABASE,
            "USER": DATABASE,
            "PASSWORD": "",
            "HOST": str(self.postgres_sockets),
            "PORT": "",
        }

    @property
    def redis_url(self) -> str:
        return f"unix://{self.valkey_socket}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]

    def _fit(self, folder: Path, name: str) -> Path:
        """`folder`, or a short one where its path is too long or too odd for a socket's address in a URL."""
        path = str(folder / name)
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and re.fullmatch(r"[A-Za-z0-9_./-]+", path):
            return folder
        # Not the folder that TMPDIR names: it differs between the terminals that must meet here.
        return Path("/tmp") / f"openalert-{os.geteuid()}-{self._digest}-{folder.name}"  # noqa: S108


def owner(path: Path) -> int | None:
    """The id of the user who owns `path`; None when there is no such file."""
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


def open_to_everybody(folder: Path) -> bool:
    """Whether any user may pass through `folder` and all folders above it. Missing ones do not count."""
    return all(
        path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents) if owner(path) is not None
    )
