"""Paths of the files that are installed with the service: in the top folder of a checkout, in this package in a wheel.

`tools/build_commands.py` puts them into the wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGED: Final = Path(__file__).parent / "packaged"
_FOLDER: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2]

# The contract, and the distribution directory that is used unless DISTRIBUTIONS_DIR names another one.
OPENAPI: Final = _FOLDER / "openapi.yaml"
DISTRIBUTIONS: Final = _FOLDER / "distributions"
