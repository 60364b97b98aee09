"""JSON bodies of answers."""

from __future__ import annotations

from typing import Any, Final

import orjson

# A line break at the end: scripts print the status behind the body with `curl -w '%{http_code}'` and read the last
# line.
_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_APPEND_NEWLINE


def encode_json_body(document: Any) -> bytes:
    """Encode a document as JSON with a line break at its end.

    Times are written in seconds; those without a zone count as UTC. An orjson.Fragment is written unchanged.
    """
    return orjson.dumps(document, option=_OPTIONS)
