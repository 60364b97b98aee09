"""OAuth2 client credentials (RFC 6749, section 4.4): one token for all calls, one refresh for all who wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

import requests
from marshmallow import ValidationError, fields, validate

from adapters.http.exchange import exchange
from adapters.http.schemas import AnswerSchema
from ports.deadline import left, until

_MARGIN: Final = 60.0
_CONNECT, _READ = 3.0, 10.0
# Bytes of the endpoint's answer; a token has to fit into a header.
_LARGEST: Final = 64 * 1024


class TokenRefusedError(Exception):
    """The token endpoint gives no token."""


class _TokenSchema(AnswerSchema):
    # What a header can carry (RFC 6750, section 2.1).
    access_token = fields.String(required=True, validate=validate.Regexp(r"[\x21-\x7e]+\Z"))
    expires_in = fields.Float(load_default=0.0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are at the token endpoint."""

    token_url: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    good_until: float


class Tokens:
    """The token in force. Thread-safe."""

    def __init__(
        self,
        credentials: Credentials,
        session: requests.Session,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = credentials
        self._session = session
        self._clock = clock
        self._lock = Lock()
        self._token: _Token | None = None
        self._refresh: Future[_Token] | None = None

    def get(self) -> str:
        """The token, fetched anew a minute before it ends. Raises TokenRefusedError."""
        with self._lock:
            if self._token is not None and self._clock() < self._token.good_until:
                return self._token.text
            ours = self._refresh is None
            if self._refresh is None:
                self._refresh = Future()
            refresh = self._refresh
        if ours:
            self._fetch_into(refresh)
        try:
            return refresh.result(timeout=max(min(_CONNECT + _READ, left()), 0.0)).text
        except FutureTimeoutError:
            raise TokenRefusedError("no token in time") from None

    def refused(self, token: str) -> None:
        """A back-end did not take `token`: fetch another, unless somebody did already."""
        with self._lock:
            if self._token is not None and self._token.text == token:
                self._token = None

    def _fetch_into(self, refresh: Future[_Token]) -> None:
        try:
            token = self._fetch()
        except TokenRefusedError as error:
            with self._lock:
                self._refresh = None
            refresh.set_exception(error)
        except BaseException as error:
            with self._lock:
                self._refresh = None
            refresh.set_exception(TokenRefusedError("no token"))
            raise error from None
        else:
            with self._lock:
                self._token, self._refresh = token, None
            refresh.set_result(token)

    def _fetch(self) -> _Token:
        asked_at = self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        try:
            with until(_CONNECT + _READ):
                answer = exchange(
                    self._session,
                    "POST",
                    self._credentials.token_url,
                    data=form,
                    headers=None,
                    timeout=(_CONNECT, _READ),
                    largest=_LARGEST,
                )
            if answer.status != HTTPStatus.OK:
                raise TokenRefusedError(f"the token endpoint answered {answer.status}")
            token: dict[str, Any] = _TokenSchema().load(answer.json())
        except (OSError, UnicodeError, ValidationError) as error:
            # As BackEnd takes them: all of requests' errors are OSErrors, as is a file of certificates that has gone.
            raise TokenRefusedError("no token") from error
        lasts = max(token["expires_in"] - _MARGIN, 0.0)
        return _Token(token["access_token"], asked_at + lasts)
