"""The client of the recommendations service, API v3, which suggests packages."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load

from adapters.http.client import BackEnd, NoAnswerError, Timeouts
from adapters.http.schemas import AnswerSchema, BoundedList
from domain.errors import UnavailableError
from ports.recommendations import Recommended

# Packages in an answer: many times more than a request may ask for.
_MAX_PACKAGES: Final = 10_000
_TIMEOUTS: Final = Timeouts(connect=3.0, read=10.0, total=15.0)


class _RecommendedSchema(AnswerSchema):
    packages = BoundedList(fields.String(), max_entries=_MAX_PACKAGES, load_default=list)
    model_version = fields.String(data_key="modelVersion")

    @post_load
    def _build(self, data: dict[str, Any], **_: Any) -> Recommended:
        return Recommended(**data | {"packages": tuple(data["packages"])})


_RECOMMENDED: Final = _RecommendedSchema()


class HttpRecommendations:
    """Implements ports.recommendations.Recommendations."""

    def __init__(self, back_end: BackEnd) -> None:
        self._back_end = back_end

    def recommend(self, packages: Sequence[str], count: int, distribution: str) -> Recommended:
        """Implements `Recommendations.recommend`."""
        body = {"packages": list(packages), "recommendedPackages": count, "distribution": distribution}
        try:
            answer = self._back_end.post_idempotent("/packages/recommendations", body, _TIMEOUTS)
        except NoAnswerError as error:
            raise _unusable_answer_error() from error
        if answer.status != HTTPStatus.OK:
            raise _unusable_answer_error()
        try:
            recommended: Recommended = _RECOMMENDED.load(answer.json())
        except ValidationError as error:
            raise _unusable_answer_error() from error
        return recommended


def _unusable_answer_error() -> UnavailableError:
    return UnavailableError("Recommendations gives no usable answer")
