"""Back-ends that are asked in a customer's name: what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from marshmallow import Schema, ValidationError

from adapters.http.client import LARGEST_COMMON, Answer, BackEnd, NoAnswerError, Query, Timeouts
from domain.errors import ForbiddenError, InvalidRequestError, UnavailableError
from domain.identity import Identity

_TIMEOUTS: Final = Timeouts(connect=3.0, read=10.0, total=15.0)
_NOT_ALLOWED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class CustomersBackEnd:
    """Asks, and turns what is no answer into the domain's errors.

    `name` begins their texts; `forbidden` is the one for whom the back-end does not let in, where that is told apart.
    Its answers have at most `largest` bytes.
    """

    back_end: BackEnd
    name: str
    forbidden: str = ""
    largest: int = LARGEST_COMMON

    def get(
        self,
        identity: Identity,
        path: str,
        params: Query = (),
        *,
        accept: str = "application/json",
        largest: int | None = None,
    ) -> Answer:
        """The answer to a GET; `largest`, where given, is its own."""
        headers = {**self._headers(identity), "Accept": accept}
        most = self.largest if largest is None else largest
        return self._heard(lambda: self.back_end.get(path, _TIMEOUTS, headers=headers, params=params, largest=most))

    def ask(self, identity: Identity, path: str, body: Mapping[str, Any]) -> Answer:
        """The answer to a POST that only asks."""
        headers = self._headers(identity)
        return self._heard(lambda: self.back_end.ask(path, body, _TIMEOUTS, headers=headers, largest=self.largest))

    def read(self, schema: Schema, answer: Answer) -> Any:
        """What `schema` makes of an answer that has to be a 200."""
        if answer.status != HTTPStatus.OK:
            raise self.away()
        try:
            return schema.load(answer.json())
        except ValidationError as error:
            raise self.away() from error

    def away(self) -> UnavailableError:
        """The error for an answer that cannot be used."""
        return UnavailableError(f"{self.name} gives no usable answer")

    def _headers(self, identity: Identity) -> dict[str, str]:
        if identity.header is None:
            raise InvalidRequestError(f"{self.name} needs a Red Hat identity")
        return {"x-rh-identity": identity.header}

    def _heard(self, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except NoAnswerError as error:
            raise self.away() from error
        if self.forbidden and answer.status in _NOT_ALLOWED:
            raise ForbiddenError(self.forbidden)
        return answer
