"""The environment variables that the service reads, as its own code names them."""

from __future__ import annotations

import re
from pathlib import Path

_APPLICATION = Path(__file__).parent.parent.parent / "image_builder"
_NAME = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"')


def variables_read() -> set[str]:
    """Every name that the application's code has as a text of its own: settings, Clowder, options of commands."""
    return {name for file in _APPLICATION.rglob("*.py") for name in _NAME.findall(file.read_text(encoding="utf-8"))}
