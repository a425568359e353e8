"""Debian's programs that some tests drive."""

import os
import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip on a machine without the programs; CI installs them, so there the test must run."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(
        bool(missing) and not os.environ.get("CI"), reason=f"apt-get install {' '.join(missing)}"
    )
