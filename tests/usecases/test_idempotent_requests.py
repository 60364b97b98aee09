"""Requests with an Idempotency-Key are carried out once, also when the key cannot be settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from adapters.fingerprints import HmacFingerprints
from domain.errors import (
    BuildRefusedError,
    ImageBuilderError,
    InProgressError,
    InvalidRequestError,
    RulesViolatedError,
    UnavailableError,
)
from domain.idempotency import EarlierRequest, KeyClaim, RequestFailure
from domain.identity import Identity
from image_builder.usecases.idempotent_requests import IdempotentRequest, IdempotentRequests

CALLER = Identity("000001", account_number="7", email="", entitled=False)
BODY = {"name": "web"}
PRINTS = HmacFingerprints("s")


class FakeKeys:
    """Keys in memory; `failing` names the calls that raise, with what."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], tuple[UUID, EarlierRequest]] = {}
        self.failing: dict[str, Exception] = {}
        self.calls: list[str] = []

    def claim(self, request: KeyClaim, key_id: UUID) -> EarlierRequest | None:
        """See ports.store."""
        self._called("claim")
        place = (request.tenant, request.path, request.key)
        if place in self.known:
            return self.known[place][1]
        self.known[place] = key_id, EarlierRequest(request.body, settled=False, created_ids=())
        return None

    def settle(self, key_id: UUID) -> None:
        """See ports.store."""
        self._called("settle")

    def settle_failed(self, key_id: UUID, failure: RequestFailure) -> None:
        """See ports.store."""
        self._called("close")
        self.known = {place: entry for place, entry in self.known.items() if entry[0] != key_id}

    def find_unsettled(self, *_: Any) -> list[Any]:
        """See ports.store."""
        return []

    def is_known(self, asked: IdempotentRequest, made: tuple[UUID, ...], failure: RequestFailure | None = None) -> None:
        """The request has been carried out before."""
        known = EarlierRequest(PRINTS.compute(asked.body), settled=True, created_ids=made, failure=failure)
        self.known[CALLER.tenant, asked.path, str(asked.key)] = uuid4(), known

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


def once(
    keys: FakeKeys, asked: IdempotentRequest, work: Callable[[UUID | None], Any], prints: HmacFingerprints = PRINTS
) -> Any:
    return IdempotentRequests(keys, prints)(CALLER, asked, work, known=lambda ids: ids)


def never(_: UUID | None) -> Any:
    raise AssertionError("carried out a second time")


def raising(error: Exception) -> Callable[[UUID | None], Any]:
    def work(_: UUID | None) -> Any:
        raise error

    return work


def a_request(key: str | None = "k", body: dict[str, Any] | None = None) -> IdempotentRequest:
    return IdempotentRequest("/compose", key, BODY if body is None else body)


def test_without_a_key_nothing_is_stored(keys: FakeKeys) -> None:
    assert once(keys, a_request(key=None), lambda key_id: (key_id, "made")) == (None, "made")
    assert keys.calls == []


def test_a_successful_request_settles_its_key(keys: FakeKeys) -> None:
    assert once(keys, a_request(), lambda _: "made") == "made"
    assert keys.calls == ["claim", "settle"]


def test_a_repeated_request_is_answered_with_the_ids_of_the_first(keys: FakeKeys) -> None:
    made = (uuid4(), uuid4())
    keys.is_known(a_request(), made)
    assert once(keys, a_request(), never) == made


def test_a_repeated_request_gets_the_error_of_the_first(keys: FakeKeys) -> None:
    first = BuildRefusedError("no (started before: 1)")
    keys.is_known(a_request(), (uuid4(),), RequestFailure.from_error(first))
    with pytest.raises(BuildRefusedError) as again:
        once(keys, a_request(), never)
    assert again.value.detail == first.detail


def test_an_unexpected_error_does_not_show_its_text() -> None:
    assert (
        RequestFailure.from_error(RuntimeError("host db.internal")).to_error().detail
        == "Something went wrong on our side"
    )


@pytest.mark.parametrize("kind", [InvalidRequestError, BuildRefusedError, UnavailableError])
def test_a_stored_failure_has_the_class_of_its_error(kind: Callable[[str], ImageBuilderError]) -> None:
    error = kind("detail")
    assert type(RequestFailure.from_error(error).to_error()) is type(error)


def test_while_the_first_request_runs_the_second_gets_in_progress(keys: FakeKeys) -> None:
    def work(_: UUID | None) -> Any:
        with pytest.raises(InProgressError) as refused:
            once(keys, a_request(), never)
        return refused.value.retry_after

    assert once(keys, a_request(), work) > 0


def test_another_body_is_refused_also_while_the_first_runs(keys: FakeKeys) -> None:
    def work(_: UUID | None) -> Any:
        with pytest.raises(RulesViolatedError):
            once(keys, a_request(body={"name": "another"}), never)

    once(keys, a_request(), work)


def test_a_request_can_be_repeated_after_the_secret_has_changed(keys: FakeKeys) -> None:
    made = (uuid4(),)
    keys.is_known(a_request(), made)
    assert once(keys, a_request(), never, HmacFingerprints("another")) == made


def test_a_failure_is_stored_and_raised(keys: FakeKeys) -> None:
    with pytest.raises(InvalidRequestError):
        once(keys, a_request(), raising(InvalidRequestError("no")))
    assert keys.calls == ["claim", "close"]
    assert once(keys, a_request(), lambda _: "made") == "made"


def test_a_result_is_returned_although_its_key_cannot_be_settled(keys: FakeKeys) -> None:
    keys.failing["settle"] = UnavailableError("away")
    assert once(keys, a_request(), lambda _: "made") == "made"


def test_a_failure_is_raised_although_its_key_cannot_be_settled(keys: FakeKeys) -> None:
    keys.failing["close"] = UnavailableError("away")
    with pytest.raises(InvalidRequestError):
        once(keys, a_request(), raising(InvalidRequestError("no")))


def test_a_request_whose_key_cannot_be_claimed_is_not_carried_out(keys: FakeKeys) -> None:
    keys.failing["claim"] = UnavailableError("away")
    with pytest.raises(UnavailableError):
        once(keys, a_request(), never)
