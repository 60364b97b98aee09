"""Sizes in osbuild blueprints: a number of bytes, or text with or without a unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from domain.compose.sizes import MAX_SIZE
from domain.osbuild.codecs import ABSENT, NotExpressibleError, expected_error

_UNITS: Final = {
    **{unit: 1000**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), start=1)},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
}
# MAX_SIZE has 20 digits. Longer numbers are refused before they are converted, which takes long for very long ones.
_SIZE: Final = re.compile(rf"(?P<whole>[0-9]{{1,20}})(?P<fraction>\.[0-9]{{1,20}})?(?: *(?P<unit>{'|'.join(_UNITS)}))?")
SIZE_DESCRIPTION: Final = (
    f'a size: a whole number of bytes from 0 to {MAX_SIZE}, or text such as "10 GiB" (units: {", ".join(_UNITS)})'
)
_MAX_TOML_INTEGER: Final = 2**63 - 1
# Bytes. TOML has this size for the API's "no minimum", 0, because osbuild refuses 0.
_TOML_SIZE_OF_ZERO: Final = 1


def size_in_bytes(value: Any) -> int | None:
    """Convert a size to bytes: an integer, or text such as "10", "10 GiB" or "1.5 GiB". Spaces around it are ignored.

    Returns None if it is none of these, is not a whole number of bytes, has a fraction without a unit, or exceeds
    MAX_SIZE.
    """
    if isinstance(value, str):
        value = _parse_size(value.strip(" "))
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
        return None
    return value


def _parse_size(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    if match is None or (match["fraction"] and not match["unit"]):
        return None
    size = Fraction(match["whole"] + (match["fraction"] or "")) * (_UNITS[match["unit"]] if match["unit"] else 1)
    return int(size) if size.denominator == 1 else None


@dataclass(frozen=True, slots=True)
class SizeInBytes:
    """A codec for sizes that are numbers in the API.

    osbuild refuses a size of 0, which the API has for "no minimum": it is written as 1 byte, and read back as 0.
    """

    def read(self, value: Any, at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        size = size_in_bytes(value)
        if size is None:
            raise expected_error(at, SIZE_DESCRIPTION)
        return 0 if size == _TOML_SIZE_OF_ZERO else size

    def write(self, value: Any, _at: str, _unsupported: list[str]) -> Any:
        """See Codec. Sizes that are too large for TOML's numbers are written as text."""
        if not isinstance(value, int) or size_in_bytes(value) is None:
            raise NotExpressibleError
        if value == 0:
            return _TOML_SIZE_OF_ZERO
        return value if value <= _MAX_TOML_INTEGER else str(value)


@dataclass(frozen=True, slots=True)
class SizeAsText:
    """A codec for sizes that are text in the API. The number 0 is read as no size at all."""

    def read(self, value: Any, at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if size_in_bytes(value) is None:
            raise expected_error(at, SIZE_DESCRIPTION)
        return ABSENT if value == 0 else str(value).strip(" ")

    def write(self, value: Any, _at: str, _unsupported: list[str]) -> Any:
        """See Codec."""
        if not isinstance(value, str) or size_in_bytes(value) is None:
            raise NotExpressibleError
        return value
