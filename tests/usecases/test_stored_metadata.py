"""When the metadata of a build is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from domain.composes import BuildTimes, StoredMetadata
from domain.errors import UnavailableError
from domain.identity import Identity
from domain.looks import Look, LookOutcome
from domain.status import ComposeStatus, ImageStatus
from image_builder.usecases.composes import ManageComposes
from image_builder.usecases.looks import LookAtBuilds

CALLER = Identity("000001")
COMPOSE = uuid4()
PACKAGES = {"packages": [{"name": "bash"}]}


class World:
    """A history with one build, and its composer; the build ends after `left` more answers of the composer."""

    def __init__(self) -> None:
        self.left = 0
        self.away: set[str] = set()
        self.kept = StoredMetadata(ended=False)
        everything: Any = self  # of the ports what metadata asks of them
        self.watch = ManageComposes.over(
            everything, everything, everything, LookAtBuilds(everything, everything), everything
        )

    @property
    def ended(self) -> bool:
        self.left -= 1
        return self.left < 0

    def get_metadata(self, tenant: str, compose_id: UUID) -> StoredMetadata:
        return self.kept

    def store(self, look: Look) -> BuildTimes:
        self.kept = StoredMetadata(look.outcome is LookOutcome.FINAL, self.kept.metadata)
        return BuildTimes()

    def store_metadata(self, compose_id: UUID, metadata: Mapping[str, Any]) -> None:
        assert self.kept.ended
        self.kept = StoredMetadata(True, orjson.dumps(metadata))

    def status(self, compose_id: UUID) -> ComposeStatus:
        if "status" in self.away:
            raise UnavailableError("The composer gives no usable answer")
        return (
            ComposeStatus("success", ImageStatus("success"))
            if self.ended
            else ComposeStatus("pending", ImageStatus("building"))
        )

    def metadata(self, compose_id: UUID) -> Mapping[str, Any]:
        return PACKAGES if self.ended else {}

    def asked(self) -> Mapping[str, Any] | str | bytes:
        return self.watch.metadata(CALLER, COMPOSE)


@pytest.fixture
def world() -> World:
    return World()


def test_the_metadata_of_an_ended_build_is_stored_also_if_its_status_was_never_read(world: World) -> None:
    assert world.asked() == PACKAGES
    assert world.asked() == world.kept.metadata == orjson.dumps(PACKAGES)


@pytest.mark.parametrize("answers", [1, 2])
def test_metadata_from_before_the_end_of_a_build_is_not_stored(world: World, answers: int) -> None:
    world.left = answers
    assert world.asked() == ({} if answers == 2 else PACKAGES)
    assert world.kept.metadata is None


def test_metadata_of_a_build_of_unknown_status_is_not_stored(world: World) -> None:
    world.away.add("status")
    assert world.asked() == PACKAGES
    assert world.kept.metadata is None
