"""200 misspelt names of packages, and 8,000 names of packages among which the right ones are to be found.

About 1,400 of the 8,000 are names of packages of RHEL, CentOS Stream and Fedora. The others are names of Debian
packages in the form that RPM distributions use (`perl-…`, `python3-…`, `…-devel`), so that there are as many similar
names as in a real distribution; the repository has no package list of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "misspellings"


def list_existing_names() -> list[str]:
    """Return the names of 8,000 packages, sorted."""
    return _list_lines("existing_names.txt")


def list_misspellings() -> list[tuple[str, str]]:
    """Return pairs of a misspelt name and the name that is meant, which exists."""
    pairs = (line.split() for line in _list_lines("misspelt_names.txt"))
    return [(misspelt, meant) for misspelt, meant in pairs]


def _list_lines(name: str) -> list[str]:
    return [line for line in (_FOLDER / name).read_text("utf-8").splitlines() if not line.startswith("#")]
