"""Spellings of distribution names.

osbuild knows several spellings of one distribution: with and without a dot in the version, and `centos-stream` for
`centos`. The service stores and returns the name of the folder in the distribution directory.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_WITH_DOT: Final = re.compile(r"(rhel-[0-9]+)\.([0-9]+)", re.ASCII)
_WITHOUT_DOT: Final = re.compile(r"(rhel-[0-9])([0-9]+)", re.ASCII)
_CENTOS_STREAM: Final = re.compile(r"centos-stream-([0-9]+)", re.ASCII)


def normalize_distribution_name(name: str, known: Collection[str]) -> str:
    """Return the known name that `name` is a spelling of.

    Returns `name` itself if it is known, or if it is not a spelling of a known name.
    """
    if name in known:
        return name
    for pattern, spelling in ((_WITH_DOT, r"\1\2"), (_WITHOUT_DOT, r"\1.\2"), (_CENTOS_STREAM, r"centos-\1")):
        match = pattern.fullmatch(name)
        other = match.expand(spelling) if match else ""
        if other in known:
            return other
    return name
