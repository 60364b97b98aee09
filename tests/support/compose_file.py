"""compose.yaml as `docker compose` reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.service import PROJECT

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def compose_file() -> Any:
    """The whole file, where the environment says nothing."""
    return _interpolated(yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8")))


def _interpolated(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _interpolated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_interpolated(each) for each in value]
    return _VARIABLE.sub(lambda found: found[2] or "", value) if isinstance(value, str) else value
