"""How the service writes JSON; every JSON body of an answer is made here."""

from __future__ import annotations

from typing import Any, Final

import orjson

# Programs append `curl -w '%{http_code}'` to a body and read the status from the last line.
_OPTIONS: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_APPEND_NEWLINE


def json_body(document: Any) -> bytes:
    """`document` as JSON with a line break at its end.

    Times without a zone are written as UTC to the second; an orjson.Fragment is written as it is.
    """
    return orjson.dumps(document, option=_OPTIONS)
