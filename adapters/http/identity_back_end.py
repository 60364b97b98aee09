"""The client of back-ends that are called with the caller's identity (Content Sources, Compliance, Provisioning)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from marshmallow import Schema, ValidationError

from adapters.http.client import DEFAULT_MAX_BYTES, Answer, BackEnd, NoAnswerError, QueryParameters, Timeouts
from domain.errors import ForbiddenError, InvalidRequestError, UnavailableError
from domain.identity import Identity

_TIMEOUTS: Final = Timeouts(connect=3.0, read=10.0, total=15.0)
_NOT_ALLOWED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class IdentityBackEnd:
    """Calls a back-end with the caller's identity header, and raises errors of the domain for unusable answers.

    `name` begins the texts of these errors. `forbidden` is the text of the ForbiddenError for an answer with status 401
    or 403; if it is empty, such answers are returned. `max_bytes` limits answers where a call sets no other limit.
    """

    back_end: BackEnd
    name: str
    forbidden: str = ""
    max_bytes: int = DEFAULT_MAX_BYTES

    def get(
        self,
        identity: Identity,
        path: str,
        params: QueryParameters = (),
        *,
        accept: str = "application/json",
        max_bytes: int | None = None,
    ) -> Answer:
        """Send a GET with the identity, and return its answer.

        Raises UnavailableError if no answer comes, ForbiddenError (see the class), and InvalidRequestError for an
        identity without a header.
        """
        headers = {**self._headers(identity), "Accept": accept}
        limit = self.max_bytes if max_bytes is None else max_bytes
        return self._call(lambda: self.back_end.get(path, _TIMEOUTS, headers=headers, params=params, max_bytes=limit))

    def post_idempotent(self, identity: Identity, path: str, body: Mapping[str, Any]) -> Answer:
        """Send a POST that may reach the back-end several times, and return its answer. Raises the errors of `get`."""
        headers = self._headers(identity)
        return self._call(
            lambda: self.back_end.post_idempotent(path, body, _TIMEOUTS, headers=headers, max_bytes=self.max_bytes)
        )

    def read(self, schema: Schema, answer: Answer) -> Any:
        """Load an answer by its schema. Raises UnavailableError for a status other than 200 or an invalid body."""
        if answer.status != HTTPStatus.OK:
            raise self.unusable_answer_error()
        try:
            return schema.load(answer.json())
        except ValidationError as error:
            raise self.unusable_answer_error() from error

    def unusable_answer_error(self) -> UnavailableError:
        """Return the error to raise for an answer that cannot be used."""
        return UnavailableError(f"{self.name} gives no usable answer")

    def _headers(self, identity: Identity) -> dict[str, str]:
        if identity.header is None:
            raise InvalidRequestError(f"{self.name} needs a Red Hat identity")
        return {"x-rh-identity": identity.header}

    def _call(self, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except NoAnswerError as error:
            raise self.unusable_answer_error() from error
        if self.forbidden and answer.status in _NOT_ALLOWED:
            raise ForbiddenError(self.forbidden)
        return answer
