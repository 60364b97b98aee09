"""The answer of a back-end. Parsing it takes bounded memory and linear time, whatever the back-end sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from domain.errors import InvalidRequestError
from ports.memory import reserve_memory

# Levels of lists and objects in an answer; back-ends use about a dozen. Answers of this service contain parts of such
# answers, and must stay below the limit of orjson.
MAX_LEVELS: Final = 100
# The most levels that orjson serializes.
_ORJSON_MAX_LEVELS: Final = 254
# Bytes that the parsed values of an answer may take. A search for all packages of a distribution takes some 30 MB.
MAX_VALUES_BYTES: Final = 96 * 1024 * 1024
# Bytes: values that take less memory are not reserved.
_MIN_RESERVED: Final = 1024 * 1024
# The most bytes that parsed JSON takes in memory for each of these characters in the text; measured in tests.
_BYTES_PER_OCCURRENCE: Final = ((b",", 44), (b'"', 24), (b"[", 64), (b"{", 64), (b":", 116))
# The most bytes that Python needs for each character of a text that is not all ASCII.
_MAX_CHARACTER_WIDTH: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """A back-end's answer, with any status; `retry_after` is in seconds, None without a usable Retry-After."""

    status: int
    body: bytes
    retry_after: float | None = None

    def json(self) -> Any:
        """Return the body parsed as JSON; None if it is not JSON, or has too many levels or too large values.

        Raises UnavailableError if the memory is in use at the moment.
        """
        size = max_size_in_memory(self.body)
        if size > MAX_VALUES_BYTES:
            return None
        try:
            if size > _MIN_RESERVED:
                reserve_memory(size)
            document = orjson.loads(self.body)
        except (InvalidRequestError, orjson.JSONDecodeError):
            return None
        return None if self._is_too_deep(document) else document

    def _is_too_deep(self, document: Any) -> bool:
        if self.body.count(b"[") + self.body.count(b"{") <= MAX_LEVELS:
            return False
        # Let orjson count the levels, which is much faster than Python: in enough lists, a document that is too deep
        # exceeds the limit of orjson.
        for _ in range(_ORJSON_MAX_LEVELS - MAX_LEVELS):
            document = [document]
        try:
            orjson.dumps(document)
        except orjson.JSONEncodeError:
            return True
        return False


def max_size_in_memory(body: bytes) -> int:
    """Return the most bytes that the parsed values of a JSON text can take in memory."""
    width = 1 if body.isascii() and b"\\u" not in body else _MAX_CHARACTER_WIDTH
    return 1024 + width * len(body) + sum(size * body.count(character) for character, size in _BYTES_PER_OCCURRENCE)
