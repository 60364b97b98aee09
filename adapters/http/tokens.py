"""OAuth2 client credentials (RFC 6749, section 4.4): all calls use one token, all who wait share one refresh."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import requests
from marshmallow import ValidationError, fields, validate

from adapters.http.exchange import exchange
from adapters.http.schemas import AnswerSchema
from ports.deadline import remaining_seconds, until
from ports.shared_calls import NoResultError, SharedCall

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
    """The token endpoint and the client's credentials there."""

    token_url: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    good_until: float


class Tokens:
    """The current access token. Thread-safe."""

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
        self._current = SharedCall(
            self._fetch, valid_until=lambda token: token.good_until, shared_errors=TokenRefusedError, clock=clock
        )

    def get(self) -> str:
        """The token, fetched anew a minute before it ends. Raises TokenRefusedError."""
        try:
            return self._current(timeout=max(min(_CONNECT + _READ, remaining_seconds()), 0.0)).text
        except NoResultError:
            raise TokenRefusedError("no token") from None

    def refused(self, token: str) -> None:
        """A back-end did not take `token`: fetch another, unless another caller has done so already."""
        self._current.forget_if(lambda current: current.text == token)

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
