"""The client of the composer, on back-ends that tests define."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID

from adapters.http.client import Answer, BackEnd, Timeouts
from adapters.http.composer import HttpComposer
from adapters.http.tokens import Tokens
from domain.submission import Accepted
from tests.support.builders import compose_request
from tests.support.domain_builders import built
from tests.support.loopback import Asked, Loopback, Step

ID = UUID("e3ee0a5c-1c7a-4ff6-a9ef-1c7a4ff6a9ef")
HASTE = Timeouts(connect=2.0, read=0.15)


class HastyBackEnd(BackEnd):
    """A back-end that uses a very short timeout instead of the given ones."""

    def get(self, path: str, _timeouts: Timeouts, **options: Any) -> Answer:
        return super().get(path, HASTE, **options)

    def delete(self, path: str, _timeouts: Timeouts) -> Answer:
        return super().delete(path, HASTE)

    def post_once(self, path: str, body: Mapping[str, Any], _timeouts: Timeouts, **options: Any) -> Answer:
        return super().post_once(path, body, HASTE, **options)

    def post_idempotent(self, path: str, body: Mapping[str, Any], _timeouts: Timeouts, **options: Any) -> Answer:
        return super().post_idempotent(path, body, HASTE, **options)


@contextmanager
def a_composer(url: str, kind: type[BackEnd] = BackEnd, tokens: Tokens | None = None) -> Iterator[HttpComposer]:
    """The client of the composer at `url`."""
    back_end = kind("composer", url, connections=5, tokens=tokens)
    try:
        yield HttpComposer(back_end)
    finally:
        back_end.close()


def submitted(adapter: HttpComposer) -> UUID:
    """Submit a build, which must be accepted, and return its id."""
    outcome = adapter.submit(built(compose_request(image_name="mine")))
    assert isinstance(outcome, Accepted)
    return outcome.id


def asking(*steps: Step, kind: type[BackEnd] = BackEnd) -> AbstractContextManager[tuple[HttpComposer, list[Asked]]]:
    """The client of a back-end that performs these steps, and the recorded requests."""

    @contextmanager
    def running() -> Iterator[tuple[HttpComposer, list[Asked]]]:
        with Loopback(*steps) as server, a_composer(server.url, kind) as adapter:
            yield adapter, server.asked

    return running()
