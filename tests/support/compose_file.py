"""compose.yaml as `docker compose` reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.service import PROJECT

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def compose_file(**environment: str) -> Any:
    """The complete file, interpreted with only these environment variables."""
    return _interpolated(yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8")), environment)


def _interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _interpolated(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_interpolated(each, environment) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: environment.get(found[1]) or found[2] or "", value)
    return value
