"""Package lists as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import orjson

from adapters.files.new_files import name_file_in_errors
from adapters.repodata.primary import Package

_EMPTY_WITHIN: Final = 64
"""Bytes in which an empty array is written, blanks included."""


def has_packages(path: Path) -> bool:
    """Whether the list that is at `path` names a package; what is damaged counts as one that does.

    Raises `ConfigurationError` naming the file when it cannot be read.
    """
    with name_file_in_errors(path):
        try:
            with path.open("rb") as file:
                return file.read(_EMPTY_WITHIN).split() not in ([b"[]"], [b"[", b"]"])
        except FileNotFoundError:
            return False


def format_package_list(packages: Iterable[Package]) -> Iterator[bytes]:
    """The list as its file has it: an array of `{name, summary}`, a package a line."""
    before = b"[\n"
    for package in packages:
        yield before + orjson.dumps(package)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"
