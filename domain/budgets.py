"""What an organization may ask for within a short time, so that none takes the service from the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class Budget(Enum):
    """The kinds of requests, each counted on its own; the value is the name callers are told."""

    READS = "reads"
    WRITES = "writes"
    BUILD_REQUESTS = "build-requests"


@dataclass(frozen=True, slots=True)
class Spent:
    """Requests, or builds, that were counted or refused: at most `limit` within any `window`.

    `remaining` are left after them, and one more in `frees_in`. In `retry_in` as many as were refused may pass,
    together with the request that asks for them; None where none were refused, or where these are more than the limit.
    """

    admitted: bool
    limit: int
    window: timedelta
    remaining: int
    frees_in: timedelta
    retry_in: timedelta | None = None
