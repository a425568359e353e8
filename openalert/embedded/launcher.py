"""Become another program that ends when its starter does. Run as a script, it needs nothing but Python:

    python -I -S launcher.py <starter's pid> <signal> <uid> <gid> <program> [argument...]

It is a process of its own because what it does between fork and exec is not safe in a program with threads.
A uid of -1 stays the user who calls.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    starter, death_signal, uid, gid = map(int, sys.argv[1:5])
    program = sys.argv[5:]
    if uid != -1:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)
    if sys.platform == "linux":
        # After setuid, which clears it. A starter that died before this line sends nothing, so look.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != starter:
            sys.exit(1)
    try:
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
