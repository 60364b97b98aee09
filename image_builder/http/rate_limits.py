"""The headers `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).

Both are structured fields (RFC 9651): lists with one item for each limit that applies to the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final

# Policies that are kept as text: those of the rate limits, and those of the quotas, which organizations may share.
_MAX_POLICIES: Final = 1024


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The state of a rate limit: `limit` requests or builds are allowed within any `window`.

    `remaining` of them are still allowed. `frees_in` is the time after which one more is allowed, None if none is in
    use. `name` is ASCII without quotes and backslashes.
    """

    name: str
    limit: int
    window: timedelta
    remaining: int
    frees_in: timedelta | None


def format_rate_limits(*limits: RateLimit) -> dict[str, str]:
    """Return the headers that report these limits; none if there are no limits."""
    if not limits:
        return {}
    policies = (_policy(each.name, each.limit, each.window) for each in limits)
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(map(_state, limits))}


def add_rate_limits(headers: list[tuple[bytes, bytes]], limits: tuple[RateLimit, ...]) -> list[tuple[bytes, bytes]]:
    """Add limits to an answer's headers, after limits that these report already. Header names must be in lower case."""
    fields = {name.lower().encode(): value.encode() for name, value in format_rate_limits(*limits).items()}
    other_headers = []
    for name, value in headers:
        if name in fields:
            fields[name] = value + b", " + fields[name]
        else:
            other_headers.append((name, value))
    return [*other_headers, *fields.items()]


def whole_seconds(duration: timedelta) -> int:
    """Return a duration in seconds, rounded up, so that a client that waits that long has waited long enough."""
    return -(-duration // timedelta(seconds=1))


@lru_cache(_MAX_POLICIES)
def _policy(name: str, limit: int, window: timedelta) -> str:
    return f'"{name}";q={limit};w={whole_seconds(window)}'


def _state(limit: RateLimit) -> str:
    frees_in = "" if limit.frees_in is None else f";t={whole_seconds(limit.frees_in)}"
    return f'"{limit.name}";r={limit.remaining}{frees_in}'
