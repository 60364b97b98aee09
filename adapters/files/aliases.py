"""Aliases in a distribution directory: a second name of a distribution, which has no folder of its own.

An alias is a symbolic link to the distribution's folder. If links cannot be stored, as in a wheel, it is a file that
holds the name of the folder: the form that git gives to links on such systems.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

# Bytes of a file that holds the name of a folder.
_MAX_SIZE: Final = 255
_NAME: Final = re.compile(rb"[\w.-]+\s?")


def is_alias(entry: Path) -> bool:
    """Return whether the entry of a distribution directory is an alias in either form."""
    return entry.is_symlink() or _read_folder_name(entry) is not None


def follow_alias(entry: Path) -> Path:
    """Return the folder that an alias in the form of a file names; any other entry is returned unchanged.

    Symbolic links are returned unchanged, too.
    """
    return _read_folder_name(entry) or entry


def _read_folder_name(entry: Path) -> Path | None:
    try:
        if entry.is_symlink() or not entry.is_file() or entry.stat().st_size > _MAX_SIZE:
            return None
        content = entry.read_bytes()
    except OSError:
        return None
    folder = entry.with_name(content.decode().strip()) if _NAME.fullmatch(content) else entry
    return folder if folder.is_dir() else None
