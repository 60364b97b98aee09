"""Folders for servers that do not run as root, such as PostgreSQL: only root can enter the folders of pytest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USUAL = "/var/tmp"  # noqa: S108 - each folder in it has a name of its own


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that all users can enter, below TEST_DATA (/var/tmp), removed at the end.

    Set TEST_DATA to a folder that is removed afterwards if a test run may be killed.
    """
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_DATA") or _USUAL) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
