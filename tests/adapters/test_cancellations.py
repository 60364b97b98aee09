"""Cancelling builds at the composer over HTTP: whether the composer may have got the request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from adapters.http.client import Answer, BackEnd, NoAnswerError, Timeouts
from domain.errors import OutcomeUnknownError, UnavailableError
from tests.support.composer_adapter import ID, HastyBackEnd, a_composer, asking
from tests.support.loopback import answer, close, hang, refused_url


@pytest.fixture(autouse=True)
def _attempts_without_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.mark.parametrize("step", [close, hang, answer(500, {}), answer(503, {}), answer(400, {})])
def test_a_cancellation_that_was_sent_and_not_confirmed_may_have_been_carried_out(step: object) -> None:
    with asking(*[step] * 3, kind=HastyBackEnd) as (adapter, _), pytest.raises(OutcomeUnknownError):  # type: ignore[list-item]
        adapter.cancel(ID)


def test_a_cancellation_that_was_not_sent_was_not_carried_out() -> None:
    with a_composer(refused_url()) as adapter, pytest.raises(UnavailableError) as refused:
        adapter.cancel(ID)
    assert not isinstance(refused.value, OutcomeUnknownError)


def test_a_request_counts_as_sent_if_any_attempt_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    back_end = BackEnd("composer", refused_url(), connections=1)
    outcomes = iter([Answer(503, b""), None])

    def attempt(_: object) -> Answer:
        outcome = next(outcomes)
        if outcome is None:
            raise NoAnswerError("composer", sent=False)
        return outcome

    monkeypatch.setattr(back_end, "_guarded", attempt)
    with pytest.raises(NoAnswerError) as failed:
        back_end.delete("/", Timeouts(connect=1.0, read=1.0))
    assert failed.value.sent
