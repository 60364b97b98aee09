"""Properties that all errors have, from any layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

REQUEST_ID = "x-rh-insights-request-id"
_NOBODYS_BUSINESS = (
    "Traceback",
    'File "',
    "site-packages",
    "psycopg",
    "SELECT ",
    "127.0.0.1",
    "$ref",
    "additionalProperties",
)


class Answered(Protocol):
    """An answer of `requests` or of raw_http."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...


def assert_is_one_line(answer: Answered) -> None:
    """The answer has a JSON body with exactly one line break, at its end, and its Content-Length."""
    json.loads(answer.content)
    assert answer.content.endswith(b"\n"), answer.content[-200:]
    assert answer.content.count(b"\n") == 1, answer.content[-200:]
    assert answer.headers.get("content-length") == str(len(answer.content))


def refusal(answer: Answered | None, status: int | set[int]) -> str:
    """The detail of an answer, which must be the contract's error body with this status, or one of these."""
    assert answer is not None, "no answer at all"
    allowed = {status} if isinstance(status, int) else status
    assert answer.status_code in allowed, f"{answer.status_code}: {answer.content[:500]!r}"
    assert answer.headers.get("content-type") == "application/json", answer.content[:200]
    assert answer.headers.get(REQUEST_ID)
    assert_is_one_line(answer)
    document = json.loads(answer.content)
    assert list(document) == ["errors"]
    assert [set(error) for error in document["errors"]] == [{"title", "detail"}]
    (error,) = document["errors"]
    assert error["title"] == str(answer.status_code)
    assert isinstance(error["detail"], str)
    assert error["detail"].strip()
    for word in _NOBODYS_BUSINESS:
        assert word not in error["detail"]
    return str(error["detail"])
