"""Parts of the marshmallow schemas for the answers of back-ends. They limit the lengths of lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from domain.nulls import without_nulls


class AnswerSchema(Schema):
    """The base class of these schemas: it ignores unknown keys, and treats a null at any depth as an absent key."""

    class Meta:
        unknown = EXCLUDE

    def load(self, *arguments: Any, **options: Any) -> Any:
        """See marshmallow."""
        try:
            return super().load(*arguments, **options)
        except ValidationError as error:
            # A frame of marshmallow refers to the error: with its traceback, the error would keep that frame and those
            # of its callers in memory, with the request that is being served, until a garbage collection.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error

    @pre_load
    def _without_nulls(self, data: Any, **_: Any) -> Any:
        return without_nulls(data) if isinstance(data, dict) else data


class BoundedList(fields.List[Any]):
    """A list of at most `max_entries` entries; a longer list is refused before any entry is loaded.

    The reason: a nested schema takes some 40 microseconds for each entry, and collects an error for each invalid one.
    """

    def __init__(self, entry: fields.Field[Any], *, max_entries: int, **options: Any) -> None:
        super().__init__(entry, **options)
        self._max_entries = max_entries

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(value, list) and len(value) > self._max_entries:
            raise ValidationError(f"more than {self._max_entries} entries")
        return super()._deserialize(value, *arguments, **options)


class RecordList(fields.Field[list[dict[str, str]]]):
    """A list of at most `max_entries` objects, of which the texts at some keys are read.

    Each object must have a text at each of the `required_keys`. A value at one of the `optional_keys` may be absent or
    null; else it must be a text. Other keys are ignored. Unlike nested schemas, it loads a million objects in seconds,
    and raises marshmallow.ValidationError for the first invalid one.
    """

    def __init__(
        self, required_keys: Sequence[str], optional_keys: Sequence[str] = (), *, max_entries: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self._required_keys = required_keys
        self._keys = (*required_keys, *optional_keys)
        self._max_entries = max_entries

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[dict[str, str]]:
        if not isinstance(value, list) or len(value) > self._max_entries:
            raise ValidationError(f"expected a list of at most {self._max_entries} objects")
        return [self._record(each) for each in value]

    def _record(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("expected an object")
        record = {key: text for key in self._keys if (text := value.get(key)) is not None}
        if not all(isinstance(text, str) for text in record.values()):
            raise ValidationError("expected a text")
        if not all(key in record for key in self._required_keys):
            raise ValidationError("a text is missing")
        return record
