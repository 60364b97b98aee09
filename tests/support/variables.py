"""The environment variables that the service reads, as its own code names them."""

from __future__ import annotations

import re
from pathlib import Path

_APPLICATION = Path(__file__).parent.parent.parent / "image_builder"
# Of branches that are merged with this one; then this goes.
_COMING = {"RATE_LIMIT_STORAGE_URL", "SHUTDOWN_GRACE", "SHUTDOWN_TIMEOUT"}
_NAME = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"')


def variables_read() -> set[str]:
    """Every name that the application's code has as a text of its own: settings, Clowder, options of commands."""
    texts = (file.read_text(encoding="utf-8") for file in _APPLICATION.rglob("*.py"))
    return _COMING.union(*map(_NAME.findall, texts))
