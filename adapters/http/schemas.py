"""How back-ends' answers are read: by the keys needed, and no further than an honest one goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from domain.nulls import without_nulls


class AnswerSchema(Schema):
    """Takes what it knows and passes over the rest; a null is nothing."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _without_nulls(self, data: Any, **_: Any) -> Any:
        return without_nulls(data) if isinstance(data, dict) else data


class ShortList(fields.List[Any]):
    """A list of at most `most` entries; of a longer one no entry is looked at.

    A nested schema takes some 40 microseconds for an entry, and keeps an error for each that does not fit.
    """

    def __init__(self, entry: fields.Field[Any], *, most: int, **options: Any) -> None:
        super().__init__(entry, **options)
        self._most = most

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, list) and len(value) > self._most:
            raise ValidationError(f"more than {self._most} entries")
        return super()._deserialize(value, *arguments, **options)


class Records(fields.Field[list[dict[str, str]]]):
    """A list of up to `most` objects that have these `texts`, and maybe those that are `optional`, or null.

    Reads a million of them in seconds, and stops at the first that does not fit.
    """

    def __init__(self, texts: Sequence[str], optional: Sequence[str] = (), *, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._needed = texts
        self._names = (*texts, *optional)
        self._most = most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[dict[str, str]]:
        if not isinstance(value, list) or len(value) > self._most:
            raise ValidationError(f"expected a list of at most {self._most} objects")
        return [self._record(each) for each in value]

    def _record(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("expected an object")
        record = {name: text for name in self._names if (text := value.get(name)) is not None}
        if not all(isinstance(text, str) for text in record.values()):
            raise ValidationError("expected a text")
        if not all(name in record for name in self._needed):
            raise ValidationError("a text is missing")
        return record
