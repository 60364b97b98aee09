"""Parts of `requests` and `http.client` that read answers of untrusted servers in bounded memory."""

from __future__ import annotations

import http.client
from typing import Any

import requests


class NoRedirectSession(requests.Session):
    """A session that returns redirects to the caller instead of following them.

    `requests` would read the whole body of a redirect into memory, even with `allow_redirects=False`.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None, so that `requests` treats no answer as a redirect."""


class BoundedResponse(http.client.HTTPResponse):
    """An answer of http.client that raises HTTPException for a chunk of negative size.

    For a size of -1, urllib3 and http.client would read until the connection ends.
    """

    def _safe_read(self, amt: int) -> Any:
        if amt < 0:
            raise http.client.HTTPException("a chunk of negative size")
        return super()._safe_read(amt)  # type: ignore[misc]  # missing in typeshed
