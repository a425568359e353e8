"""What the apps let be asked about them on a watcher's own connection: statements by name, told when they start.

The web process watches, and may import no app for it that the apps below must not know.
"""

known: dict[str, str] = {}


def register(**statements: str) -> None:
    known.update(statements)


def named(name: str) -> str:
    return known[name]
