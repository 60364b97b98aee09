"""The controller of quotas (openapi.yaml, operation getQuota), and a quota in the form of a rate limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from domain.identity import Identity
from domain.quota import Allowance
from image_builder.http.answers import Answer, json_answer
from image_builder.http.call import Route
from image_builder.http.rate_limits import RateLimit, whole_seconds
from image_builder.usecases.quota import ShowQuota

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class QuotaController:
    """The operation that shows an organization its quota of builds."""

    show_quota: ShowQuota

    def routes(self) -> Mapping[str, Route]:
        """The handlers of these operations, by operation id."""
        return {
            "getQuota": Route(self.get),
        }

    def get(self, identity: Identity) -> Answer:
        """Handle GET /quota."""
        allowance = self.show_quota(identity)
        return json_answer({"unlimited": True} if allowance is None else _quota(allowance))


def to_rate_limit(allowance: Allowance) -> RateLimit:
    """Convert a quota to a rate limit named `builds`, for RateLimit headers."""
    return RateLimit("builds", allowance.limit, allowance.window, allowance.remaining, allowance.frees_in)


def _quota(allowance: Allowance) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "unlimited": False,
        "limit": allowance.limit,
        "used": allowance.used,
        "remaining": allowance.remaining,
        "window": whole_seconds(allowance.window),
    }
    if allowance.next_free_at is not None:
        answer["next_free_at"] = _round_up_to_second(allowance.next_free_at)
    return answer


def _round_up_to_second(moment: datetime) -> datetime:
    """Round a time up to a whole second, so that a client that waits until then has waited long enough."""
    return moment.replace(microsecond=0) + (_SECOND if moment.microsecond else timedelta(0))
