"""How back-ends' answers are read: by the keys needed."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, pre_load


class AnswerSchema(Schema):
    """Takes what it knows and passes over the rest; a null is nothing."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _without_nulls(self, data: Any, **_: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data
