"""Cancellations of builds against each other, against a build's end, and with a composer that lies or goes away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.cancellations import Cancellation, was_cancelled
from domain.composes import BuildTimes, StoredCompose
from domain.errors import ConflictError, NotFoundError, OutcomeUnknownError, UnavailableError
from domain.identity import Identity
from domain.looks import Look
from domain.status import ComposeStatus, ImageStatus, as_document, from_document
from image_builder.usecases.cancel import CancelBuilds
from image_builder.usecases.complete_cancellations import CompleteCancellations
from image_builder.usecases.composes import ManageComposes
from image_builder.usecases.looks import LookAtBuilds

TENANT = Identity("000001", username="alice", email="alice@example.com")
AWAY = UnavailableError("away")
BUILDING = ComposeStatus("pending", ImageStatus("building"))
SUCCESS = ComposeStatus("success", ImageStatus("success"))
FAILURE = ComposeStatus("failure", ImageStatus("failure"))
LEASE = timedelta(seconds=60)


class FakeComposer:
    """A composer with builds.

    It does not answer calls of its methods in `failing`. It `ignores` deletions, which it confirms, of some builds, and
    `hides` some builds from looks. Builds in `ends` have that status from their deletion on.
    """

    def __init__(self) -> None:
        self.builds: dict[UUID, ComposeStatus] = {}
        self.failing: dict[str, Exception] = {}
        self.broken: set[UUID] = set()
        self.ignores: set[UUID] = set()
        self.ends: dict[UUID, ComposeStatus] = {}
        self.hides: set[UUID] = set()
        self.deleted: list[UUID] = []

    def status(self, compose_id: UUID) -> ComposeStatus:
        if compose_id in self.broken:
            raise AWAY
        if "status" in self.failing:
            raise self.failing["status"]
        if compose_id not in self.builds or compose_id in self.hides:
            raise NotFoundError("unknown")
        return self.builds[compose_id]

    def cancel(self, compose_id: UUID) -> None:
        if "cancel" in self.failing:
            raise self.failing["cancel"]
        self.deleted.append(compose_id)
        if compose_id in self.ends:
            self.builds[compose_id] = self.ends[compose_id]
        elif compose_id not in self.ignores:
            self.builds.pop(compose_id, None)


class FakeDatabase:
    """Fulfils the ports of composes, statuses and cancellations; its methods in `failing` raise UnavailableError.

    `before_find` is called once, before the next search for an intent.
    """

    def __init__(self) -> None:
        self.composes: set[UUID] = set()
        self.final: dict[UUID, dict[str, Any]] = {}
        self.intents: dict[UUID, Cancellation] = {}
        self.attempts: dict[UUID, int] = {}
        self.failing: set[str] = set()
        self.before_find: Callable[[], None] | None = None

    def get(self, _tenant: str, compose_id: UUID) -> StoredCompose | None:
        if compose_id not in self.composes:
            return None
        return StoredCompose("{}", datetime(2026, 1, 31), status=self.final.get(compose_id))

    def store(self, look: Look) -> BuildTimes | None:
        self._fail("store")
        if look.status is None or not look.status.is_final:
            return BuildTimes()
        if look.compose_id in self.final:
            return None
        self.final[look.compose_id] = as_document(look.status.image)
        return BuildTimes()

    def record(self, intent_id: UUID, compose_id: UUID, cancelled_by: str) -> Cancellation | None:
        self._fail("record")
        if compose_id in self.final:
            return None
        self.intents[intent_id] = Cancellation(intent_id, compose_id, cancelled_by, datetime(2026, 1, 31))
        return self.intents[intent_id]

    def withdraw(self, intent_id: UUID) -> None:
        self._fail("withdraw")
        self.intents.pop(intent_id, None)

    def find(self, compose_id: UUID) -> Cancellation | None:
        if self.before_find is not None:
            first, self.before_find = self.before_find, None
            first()
        return next((intent for intent in self.intents.values() if intent.compose_id == compose_id), None)

    def find_abandoned(self, _lease: timedelta, _limit: int) -> Sequence[Cancellation]:
        return sorted(self.intents.values(), key=lambda intent: self.attempts.get(intent.id, 0))

    def postpone(self, intent_id: UUID) -> None:
        self.attempts[intent_id] = self.attempts.get(intent_id, 0) + 1

    def remove_all(self, compose_id: UUID) -> None:
        self.intents = {key: intent for key, intent in self.intents.items() if intent.compose_id != compose_id}

    def _fail(self, method: str) -> None:
        if method in self.failing:
            raise AWAY


class World:
    """A build that is running, and everything that cancels it."""

    def __init__(self) -> None:
        self.composer, self.database = FakeComposer(), FakeDatabase()
        self.build = self.add_build()
        composer: Any = self.composer
        database: Any = self.database
        looks = LookAtBuilds(composer, database)
        self.completion = CompleteCancellations(database, composer, looks, LEASE)
        self.cancel = CancelBuilds(database, database, looks, self.completion)
        self.manage = ManageComposes.over(database, database, composer, looks, self.completion)

    def add_build(self) -> UUID:
        """Start another build."""
        build = uuid4()
        self.database.composes.add(build)
        self.composer.builds[build] = BUILDING
        return build

    def intend(self, build: UUID) -> None:
        """Record an intent to cancel the build, as a request that a crash interrupted has."""
        self.database.record(uuid4(), build, "bob")

    def is_shown_as_cancelled(self, build: UUID) -> bool:
        """Whether the stored status is that of a cancelled build."""
        return build in self.database.final and was_cancelled(from_document(self.database.final[build]))


@pytest.fixture
def world() -> World:
    return World()


def test_the_cancelled_build_names_the_user(world: World) -> None:
    stored = world.cancel(TENANT, world.build)
    assert stored.status is not None
    assert stored.status["error"]["details"] == {"cancelled_at": "2026-01-31T00:00:00Z", "cancelled_by": "alice"}
    assert world.database.intents == {}


def test_a_build_that_the_composer_deletes_and_still_runs_is_not_shown_as_cancelled(world: World) -> None:
    world.composer.ignores.add(world.build)
    with pytest.raises(UnavailableError, match="completed later"):
        world.cancel(TENANT, world.build)
    assert world.database.final == {}
    world.completion.complete_abandoned()
    assert world.database.final == {}
    world.composer.ignores.clear()
    world.completion.complete_abandoned()
    assert world.is_shown_as_cancelled(world.build)
    assert world.build not in world.composer.builds


def test_a_build_that_succeeds_in_spite_of_its_deletion_keeps_its_status(world: World) -> None:
    world.composer.ends[world.build] = SUCCESS
    with pytest.raises(ConflictError, match="ended with status success"):
        world.cancel(TENANT, world.build)
    assert world.database.final[world.build]["status"] == "success"
    assert world.database.intents == {}


def test_a_build_that_its_deletion_makes_fail_is_cancelled(world: World) -> None:
    world.composer.ends[world.build] = FAILURE
    world.cancel(TENANT, world.build)
    assert world.is_shown_as_cancelled(world.build)


def test_a_deletion_that_cannot_be_confirmed_is_completed_later(world: World) -> None:
    delete = world.composer.cancel

    def delete_and_go_away(compose_id: UUID) -> None:
        delete(compose_id)
        world.composer.failing["status"] = AWAY

    world.composer.cancel = delete_and_go_away  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="completed later"):
        world.cancel(TENANT, world.build)
    assert world.database.final == {}
    world.composer.cancel = delete  # type: ignore[method-assign]
    world.composer.failing.clear()
    world.completion.complete_abandoned()
    assert world.is_shown_as_cancelled(world.build)


def test_an_intent_that_may_have_been_recorded_is_not_called_a_failure(world: World) -> None:
    world.database.failing.add("record")
    with pytest.raises(UnavailableError, match="may be completed later") as raised:
        world.cancel(TENANT, world.build)
    assert raised.value.retry_after == 60
    assert world.composer.deleted == []


def test_an_intent_that_cannot_be_withdrawn_is_completed_later(world: World) -> None:
    world.composer.failing["cancel"] = AWAY
    world.database.failing.add("withdraw")
    with pytest.raises(UnavailableError, match="will be completed later") as raised:
        world.cancel(TENANT, world.build)
    assert raised.value.retry_after == 60
    world.composer.failing.clear()
    world.completion.complete_abandoned()
    assert world.is_shown_as_cancelled(world.build)


def test_an_intent_that_the_composer_did_not_get_is_withdrawn(world: World) -> None:
    world.composer.failing["cancel"] = AWAY
    with pytest.raises(UnavailableError, match="away"):
        world.cancel(TENANT, world.build)
    assert world.database.intents == {}


def test_a_status_that_cannot_be_stored_is_stored_later(world: World) -> None:
    world.database.failing.add("store")
    with pytest.raises(UnavailableError, match="will be completed later"):
        world.cancel(TENANT, world.build)
    assert world.build not in world.composer.builds
    world.database.failing.clear()
    world.completion.complete_abandoned()
    assert world.is_shown_as_cancelled(world.build)


def test_a_retry_after_a_deletion_without_an_answer_completes_it(world: World) -> None:
    world.composer.failing["cancel"] = OutcomeUnknownError("no answer")
    with pytest.raises(UnavailableError, match="will be completed later"):
        world.cancel(TENANT, world.build)
    world.composer.failing.clear()
    del world.composer.builds[world.build]  # the composer had got the request
    world.cancel(TENANT, world.build)
    assert world.is_shown_as_cancelled(world.build)
    assert world.database.intents == {}


def test_a_build_that_another_request_cancels_between_two_steps_was_cancelled(world: World) -> None:
    """The look finds no build any more, and the other request removes its intent before this one searches for it."""
    world.intend(world.build)
    del world.composer.builds[world.build]
    world.database.before_find = world.completion.complete_abandoned
    with pytest.raises(ConflictError, match="it was cancelled"):
        world.cancel(TENANT, world.build)


def test_a_build_that_another_request_cancels_during_a_look_is_shown_as_cancelled(world: World) -> None:
    world.intend(world.build)
    del world.composer.builds[world.build]
    world.database.before_find = world.completion.complete_abandoned
    found = world.manage.status(TENANT, world.build)
    assert was_cancelled(found.status)


def test_a_build_that_the_composer_has_forgotten_is_not_found(world: World) -> None:
    del world.composer.builds[world.build]
    with pytest.raises(NotFoundError):
        world.cancel(TENANT, world.build)
    assert world.database.final == {}


def test_a_build_that_ended_before_the_reconciler_looks_keeps_its_status(world: World) -> None:
    world.intend(world.build)
    world.composer.builds[world.build] = SUCCESS
    world.completion.complete_abandoned()
    assert world.database.final[world.build]["status"] == "success"
    assert world.database.intents == {}
    assert world.composer.deleted == []


@pytest.mark.parametrize("finder", ["reconciler", "request", "cancellation"])
def test_a_build_that_the_composer_hides_for_a_moment_is_deleted_all_the_same(world: World, finder: str) -> None:
    world.intend(world.build)
    world.composer.hides.add(world.build)
    if finder == "reconciler":
        world.completion.complete_abandoned()
    elif finder == "request":
        world.manage.status(TENANT, world.build)
    else:
        world.cancel(TENANT, world.build)
    assert world.is_shown_as_cancelled(world.build)
    assert world.build not in world.composer.builds


def test_builds_for_which_the_composer_never_answers_do_not_delay_others(world: World) -> None:
    broken = [world.add_build() for _ in range(5)]
    world.composer.broken.update(broken)
    for each in (*broken, world.build):
        world.intend(each)
    for _ in range(2):
        world.completion.complete_abandoned()
    assert world.is_shown_as_cancelled(world.build)


def test_a_final_status_that_is_stored_stays(world: World) -> None:
    world.intend(world.build)
    world.database.final[world.build] = as_document(SUCCESS.image)
    world.completion.complete_abandoned()
    assert world.database.final[world.build]["status"] == "success"
    assert world.database.intents == {}
