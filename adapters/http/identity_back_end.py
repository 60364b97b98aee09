"""The client of back-ends that are called with the caller's own identity (content sources, compliance, …)."""

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
    """Calls a back-end with the caller's identity header, and raises the domain's errors for unusable answers.

    The texts of the errors begin with `name`. `forbidden` is the text of the ForbiddenError for a 401 or 403; if it is
    empty, such an answer is returned. `max_bytes` limits answers where a call sets no limit of its own.
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

        Raises UnavailableError without an answer, ForbiddenError as described above, and InvalidRequestError for an
        identity without a header.
        """
        headers = {**self._headers(identity), "Accept": accept}
        limit = self.max_bytes if max_bytes is None else max_bytes
        return self._call(lambda: self.back_end.get(path, _TIMEOUTS, headers=headers, params=params, max_bytes=limit))

    def post_idempotent(self, identity: Identity, path: str, body: Mapping[str, Any]) -> Answer:
        """Send a POST that may be repeated with the identity, and return its answer. Raises as `get` does."""
        headers = self._headers(identity)
        return self._call(
            lambda: self.back_end.post_idempotent(path, body, _TIMEOUTS, headers=headers, max_bytes=self.max_bytes)
        )

    def read(self, schema: Schema, answer: Answer) -> Any:
        """Load an answer by its schema. Raises UnavailableError for a status other than 200 or an invalid body."""
        if answer.status != HTTPStatus.OK:
            raise self.unusable_answer()
        try:
            return schema.load(answer.json())
        except ValidationError as error:
            raise self.unusable_answer() from error

    def unusable_answer(self) -> UnavailableError:
        """The error for an answer that cannot be used, for the caller to raise."""
        return UnavailableError(f"{self.name} gives no usable answer")

    def _headers(self, identity: Identity) -> dict[str, str]:
        if identity.header is None:
            raise InvalidRequestError(f"{self.name} needs a Red Hat identity")
        return {"x-rh-identity": identity.header}

    def _call(self, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except NoAnswerError as error:
            raise self.unusable_answer() from error
        if self.forbidden and answer.status in _NOT_ALLOWED:
            raise ForbiddenError(self.forbidden)
        return answer
