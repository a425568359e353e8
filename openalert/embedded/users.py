"""Under root the servers get a user of their own, for PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
import subprocess

from .errors import EmbeddedError
from .places import Places, owner
from .process import User

NAME = "openalert-servers"
# useradd stands in folders that are not on every PATH.
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def server_user(places: Places) -> User | None:
    """The user whose rights the servers get: None (our own) unless we are root; then the owner of the data
    folder, or a system user that is made when it is first needed. Raises EmbeddedError."""
    if os.geteuid() != 0:
        return None
    uid = owner(places.data)
    try:
        entry = pwd.getpwuid(uid) if uid else _find_or_make()
    except KeyError:
        raise EmbeddedError(
            f"The data folder {places.data} belongs to the user with the id {uid}, who has no entry in "
            "/etc/passwd. PostgreSQL does not run as root and needs one. Give the folder to another user, or "
            "name another folder in OPENALERT_DATA_DIR."
        ) from None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _find_or_make() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        pass
    reason = "there is no program useradd"
    if useradd := shutil.which("useradd", path=SYSTEM_PATH):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        result = subprocess.run(  # noqa: S603
            [useradd, *options, "--shell", "/usr/sbin/nologin", NAME],
            capture_output=True,
            text=True,
            check=False,
        )
        reason = result.stderr.strip()
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the user {NAME} for it could not be made ({reason}). Start "
            "OpenAlert as an ordinary user, or make a system user of that name."
        ) from None
