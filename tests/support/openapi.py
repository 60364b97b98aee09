"""openapi.yaml as a document, read once for all tests of a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).parents[2] / "openapi.yaml"


@cache
def openapi_document() -> dict[str, Any]:
    """The whole document. All callers get the same one: do not change it."""
    document: dict[str, Any] = yaml.load(_FILE.read_bytes(), Loader=yaml.CSafeLoader)
    return document
