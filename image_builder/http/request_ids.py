"""The ids of a request: those that its headers give, or new ones."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable
from typing import Final

from ports.trace import Trace

REQUEST_ID: Final = b"x-rh-insights-request-id"
_TRACE_ID: Final = b"x-strc-trace-id"
# Ids of clients that are safe to log and to pass on to back-ends; other ids are replaced.
_SAFE_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
# Letters of a trace id that this service creates.
_TRACE_ID_LENGTH: Final = 15
# Maps random bytes to letters.
_LETTER_OF_BYTE: Final = bytes(ord(string.ascii_letters[byte % len(string.ascii_letters)]) for byte in range(256))


def read_trace(headers: Iterable[tuple[bytes, bytes]]) -> Trace:
    """Return the ids in the headers of a request; new ones in place of those that are missing or not safe."""
    request_id = trace_id = b""
    for name, value in headers:
        if name == REQUEST_ID:
            request_id = value
        elif name == _TRACE_ID:
            trace_id = value
    return Trace(
        request_id.decode() if _SAFE_ID.fullmatch(request_id) else new_request_id(),
        trace_id.decode() if _SAFE_ID.fullmatch(trace_id) else _new_trace_id(),
    )


# These ids are no secrets. `os.urandom` would cost more: it releases the interpreter lock, so that the request often
# has to wait for another thread.
def new_request_id() -> str:
    """Return 32 random hexadecimal digits."""
    return random.randbytes(16).hex()  # noqa: S311 - no secret


def _new_trace_id() -> str:
    return random.randbytes(_TRACE_ID_LENGTH).translate(_LETTER_OF_BYTE).decode()  # noqa: S311 - no secret
