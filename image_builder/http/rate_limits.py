"""The fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).

Both are lists of structured fields (RFC 9651) with an item for each limit that holds for a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` within any `window`, `remaining` of them left; one more in `frees_in`, None where none will come.

    `name` is plain ASCII without quotes and backslashes.
    """

    name: str
    limit: int
    window: timedelta
    remaining: int
    frees_in: timedelta | None


def rate_limit_fields(*limits: RateLimit) -> dict[str, str]:
    """The fields of an answer that these limits hold for; none where there are none."""
    if not limits:
        return {}
    return {"RateLimit-Policy": ", ".join(map(_policy, limits)), "RateLimit": ", ".join(map(_state, limits))}


def with_limits(headers: list[tuple[bytes, bytes]], limits: tuple[RateLimit, ...]) -> list[tuple[bytes, bytes]]:
    """An answer's headers, names in lower case, with these limits after those that it tells of already."""
    fields = {name.lower().encode(): value.encode() for name, value in rate_limit_fields(*limits).items()}
    kept = []
    for name, value in headers:
        if name in fields:
            fields[name] = value + b", " + fields[name]
        else:
            kept.append((name, value))
    return [*kept, *fields.items()]


def whole_seconds(duration: timedelta) -> int:
    """Rounded up: who waits that long has waited long enough."""
    return -(-duration // timedelta(seconds=1))


def _policy(limit: RateLimit) -> str:
    return f'"{limit.name}";q={limit.limit};w={whole_seconds(limit.window)}'


def _state(limit: RateLimit) -> str:
    more = "" if limit.frees_in is None else f";t={whole_seconds(limit.frees_in)}"
    return f'"{limit.name}";r={limit.remaining}{more}'
