"""The composer over HTTP, on back-ends that tests make up."""

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
    """Waits a moment only, whatever it is told."""

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
    """The adapter on the back-end at `url`."""
    back_end = kind("composer", url, connections=5, tokens=tokens)
    try:
        yield HttpComposer(back_end)
    finally:
        back_end.close()


def submitted(adapter: HttpComposer) -> UUID:
    """The id of a build that must be accepted."""
    outcome = adapter.submit(built(compose_request(image_name="mine")))
    assert isinstance(outcome, Accepted)
    return outcome.id


def asking(*steps: Step, kind: type[BackEnd] = BackEnd) -> AbstractContextManager[tuple[HttpComposer, list[Asked]]]:
    """The adapter on a back-end that takes these steps, and what it was asked."""

    @contextmanager
    def running() -> Iterator[tuple[HttpComposer, list[Asked]]]:
        with Loopback(*steps) as server, a_composer(server.url, kind) as adapter:
            yield adapter, server.asked

    return running()
