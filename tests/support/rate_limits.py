"""Rate limits as callers see them in the fields RateLimit and RateLimit-Policy, and operators in metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import requests

from tests.support.service import Service
from tests.support.waiting import PATIENCE

# Names and parameters as the service uses them: no commas, semicolons or quotes within.
_ITEM = re.compile(r'"([a-z-]+)"((?:;[a-z]+=\d+)+)')


class Answered(Protocol):
    """An answer of `requests` or of raw_http."""

    @property
    def headers(self) -> Mapping[str, str]: ...


def policies(answer: Answered) -> dict[str, dict[str, int]]:
    """The limits by name: `q` requests in any `w` seconds."""
    return _items(answer.headers.get("RateLimit-Policy"))


def left(answer: Answered) -> dict[str, dict[str, int]]:
    """The remaining budgets by name: `r` requests, and one more in `t` seconds."""
    return _items(answer.headers.get("RateLimit"))


def metric(service: Service, series: str) -> float:
    """The value of a series, 0 if it does not exist yet."""
    lines = requests.get(f"{service.url}/metrics", timeout=PATIENCE).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} "))


def _items(field: str | None) -> dict[str, dict[str, int]]:
    if field is None:
        return {}
    items: dict[str, dict[str, int]] = {}
    for text in field.split(", "):
        match = _ITEM.fullmatch(text)
        assert match, field
        assert match[1] not in items, field
        pairs = (pair.split("=") for pair in match[2].removeprefix(";").split(";"))
        items[match[1]] = {name: int(value) for name, value in pairs}
    return items
