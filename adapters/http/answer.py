"""A back-end's answer, and how much of it is believed: a back-end that lies costs bounded memory and linear time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from domain.errors import InvalidRequestError
from ports.memory import reserve_memory

# Levels of lists and objects in an answer: no back-end has more than a dozen. Ours, which holds a part of theirs, has
# to stay below the 254 that orjson writes.
DEEPEST: Final = 100
_DEEPEST_WRITTEN: Final = 254
# Bytes that the values of an answer may take in memory. A search for all packages of a distribution takes some 30 MB.
LARGEST_VALUES: Final = 96 * 1024 * 1024
# Smaller answers reserve no memory.
_SMALL: Final = 1024 * 1024
# Bytes that values of JSON take at most, by the characters that stand between them; measured in tests.
_COSTS: Final = ((b",", 44), (b'"', 24), (b"[", 64), (b"{", 64), (b":", 116))
# Bytes of a character in a text, where one of its text is not ASCII.
_WIDEST: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """A back-end's answer, whatever its status; `retry_after` is in seconds, None where it says nothing of it."""

    status: int
    body: bytes
    retry_after: float | None = None

    def json(self) -> Any:
        """The body as JSON; None where it is none, or is nested more than DEEPEST levels, or needs too much memory.

        Raises UnavailableError where the memory is there, but not now.
        """
        size = largest_size(self.body)
        if size > LARGEST_VALUES:
            return None
        try:
            if size > _SMALL:
                reserve_memory(size)
            document = orjson.loads(self.body)
        except (InvalidRequestError, orjson.JSONDecodeError):
            return None
        return None if self._is_too_deep(document) else document

    def _is_too_deep(self, document: Any) -> bool:
        if self.body.count(b"[") + self.body.count(b"{") <= DEEPEST:
            return False
        # Faster by far than to walk through the values: what writes them counts their levels.
        for _ in range(_DEEPEST_WRITTEN - DEEPEST):
            document = [document]
        try:
            orjson.dumps(document)
        except orjson.JSONEncodeError:
            return True
        return False


def largest_size(body: bytes) -> int:
    """How many bytes the values of a JSON text take in memory at most."""
    width = 1 if body.isascii() and b"\\u" not in body else _WIDEST
    return 1024 + width * len(body) + sum(cost * body.count(character) for character, cost in _COSTS)
