"""The status of a build where something around it fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.composes import BuildTimes, SeenStatus, StoredCompose
from domain.errors import UnavailableError
from domain.identity import Identity
from domain.looks import Look
from domain.status import ComposeStatus, ImageStatus
from image_builder.usecases.composes import ManageComposes
from image_builder.usecases.looks import LookAtBuilds
from tests.support.rows import now

CALLER = Identity("000001")


class ReadOnlyStore:
    """A history with one build that can be read but not written, and a composer that knows the build."""

    def __init__(self) -> None:
        self.stored = StoredCompose(
            "{}",
            now(),
            seen=SeenStatus({"status": "pending"}, timedelta(minutes=1)),
            times=BuildTimes(started_at=now()),
        )

    def get(self, tenant: str, compose_id: UUID) -> StoredCompose:
        return self.stored

    def store(self, look: Look) -> BuildTimes | None:
        raise UnavailableError("The database cannot be written")

    def status(self, compose_id: UUID) -> ComposeStatus:
        return ComposeStatus("pending", ImageStatus("building"))


def test_a_status_that_cannot_be_stored_is_answered_with_the_times_that_are_known() -> None:
    store: Any = ReadOnlyStore()
    composes = ManageComposes.over(store, store, store, LookAtBuilds(store, store), store)
    found = composes.status(CALLER, uuid4())
    assert found.status == ImageStatus("building")
    assert found.compose.times == store.stored.times
