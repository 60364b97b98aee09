"""Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4). All calls share one token and its renewal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import requests
from marshmallow import ValidationError, fields, validate

from adapters.http.exchange import exchange
from adapters.http.schemas import AnswerSchema
from ports.deadline import remaining_seconds, until
from ports.shared_calls import NoResultError, SharedCall

# Seconds before its expiry at which a token is renewed.
_RENEWAL_MARGIN: Final = 60.0
# Seconds to wait for a connection to the token endpoint.
_CONNECT_TIMEOUT: Final = 3.0
# Seconds to wait between two reads of its answer.
_READ_TIMEOUT: Final = 10.0
# Bytes of its answer; a token must fit into a header.
_MAX_BYTES: Final = 64 * 1024


class TokenRefusedError(Exception):
    """The token endpoint issued no token: it refused, did not answer in time, or its answer has no usable token."""


class _TokenSchema(AnswerSchema):
    # The characters that a header can carry (RFC 6750, section 2.1).
    access_token = fields.String(required=True, validate=validate.Regexp(r"[\x21-\x7e]+\Z"))
    # RFC 6749 only recommends this field. A token without it is used for one call, because its lifetime is unknown.
    expires_in = fields.Float(load_default=0.0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The URL of the token endpoint and the client's credentials there."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token, and the time of `Tokens`' clock from which a new one is fetched, a minute before the token expires."""

    text: str = field(repr=False)
    valid_until: float


class Tokens:
    """Provides the current access token, and fetches a new one when needed. It is thread-safe.

    Callers that need a new token at the same time share one request for it, which has a time limit of its own; each
    caller waits for it until its own deadline at most.
    """

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
            self._fetch, valid_until=lambda token: token.valid_until, shared_errors=TokenRefusedError, clock=clock
        )

    def get(self) -> str:
        """Return the access token; a minute before it expires, a new one is fetched. Raises TokenRefusedError."""
        try:
            return self._current(timeout=max(min(_CONNECT_TIMEOUT + _READ_TIMEOUT, remaining_seconds()), 0.0)).text
        except NoResultError:
            raise TokenRefusedError("no token in time") from None

    def invalidate(self, token: str) -> None:
        """Forget `token`, which a back-end refused, unless another caller has renewed it already."""
        self._current.forget_if(lambda current: current.text == token)

    def _fetch(self) -> _Token:
        requested_at = self._clock()
        form = {
            "grant_type": "client_credentials",
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
        }
        try:
            with until(_CONNECT_TIMEOUT + _READ_TIMEOUT):
                answer = exchange(
                    self._session,
                    "POST",
                    self._credentials.token_url,
                    data=form,
                    headers=None,
                    timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                    max_bytes=_MAX_BYTES,
                )
            if answer.status != HTTPStatus.OK:
                raise TokenRefusedError(f"the token endpoint answered {answer.status}")
            token: dict[str, Any] = _TokenSchema().load(answer.json())
        except (OSError, UnicodeError, ValidationError) as error:
            # OSErrors are all errors of requests, and a missing file of certificates. A body that is no text in UTF-8
            # raises UnicodeError.
            raise TokenRefusedError("no usable answer") from error
        lifetime = max(token["expires_in"] - _RENEWAL_MARGIN, 0.0)
        return _Token(token["access_token"], requested_at + lifetime)
