"""Encodes the JSON bodies of answers."""

from __future__ import annotations

from typing import Any, Final

import orjson

# The line break at the end is for scripts, which print the status after the body with `curl -w '%{http_code}'` and read
# the last line.
_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_APPEND_NEWLINE


def encode_json_body(document: Any) -> bytes:
    """Encode a document as JSON with a line break at its end.

    Times are written in whole seconds; times without a zone count as UTC. An orjson.Fragment is written unchanged.
    """
    return orjson.dumps(document, option=_OPTIONS)
