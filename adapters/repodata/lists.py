"""Package list files of refreshed repositories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import orjson

from adapters.files.file_transaction import name_file_in_errors
from adapters.repodata.primary import Package

# Bytes. A file with an empty array is shorter, even with white space.
_EMPTY_LIST_SIZE: Final = 64


def has_packages(path: Path) -> bool:
    """Return whether the list at `path` exists and is not an empty array. A damaged list counts as not empty.

    Raises ConfigurationError, which names the file if it cannot be read.
    """
    with name_file_in_errors(path):
        try:
            with path.open("rb") as file:
                return file.read(_EMPTY_LIST_SIZE).split() not in ([b"[]"], [b"[", b"]"])
        except FileNotFoundError:
            return False


def format_package_list(packages: Iterable[Package]) -> Iterator[bytes]:
    """Format a package list file: a JSON array of `{name, summary}` with one package per line."""
    separator = b"[\n"
    for package in packages:
        yield separator + orjson.dumps(package)
        separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"
