"""Answers of servers that are not trusted, read without letting them decide how much memory that takes."""

from __future__ import annotations

import http.client
from typing import Any

import requests


class RedirectsToCaller(requests.Session):
    """A session that hands redirects back as answers like any other.

    `requests` itself reads the whole body of a redirect into memory, also with `allow_redirects=False`.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None, whatever the answer says."""


class BoundedResponse(http.client.HTTPResponse):
    """An answer whose chunks have a size; raises http.client.HTTPException for one of a negative size.

    urllib3 and http.client take a size of -1 for everything until the connection ends.
    """

    def _safe_read(self, amt: int) -> Any:
        if amt < 0:
            raise http.client.HTTPException("a chunk of negative size")
        return super()._safe_read(amt)  # type: ignore[misc]  # typeshed leaves it out
