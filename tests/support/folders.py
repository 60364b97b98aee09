"""Folders for servers that do not run as root, as PostgreSQL never does: pytest's own are root's alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USUAL = "/var/tmp"  # noqa: S108 - each folder in it has a name of its own


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that everybody may enter, below TEST_DATA (/var/tmp), gone at the end.

    Whoever may end a test run in its midst, and wants nothing left, sets TEST_DATA to a folder that it removes.
    """
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_DATA") or _USUAL) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
