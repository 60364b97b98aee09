"""Large blueprints: memory is reserved before they are read, and no request waits for memory while it holds a lock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from adapters.postgres.blueprints import PostgresBlueprints
from domain.blueprints.blueprint import Blueprint, NewBlueprint, Version
from domain.errors import NotFoundError, StaleVersionError
from domain.json_size import parsed_size
from tests.support.databases import Parameters, session
from tests.support.memory import RecordedMemory, recorded_memory

MiB = 1024 * 1024
SMALL: dict[str, Any] = {"customizations": {"packages": ["p"]}, "image_requests": []}
LARGE: dict[str, Any] = {"customizations": {"packages": ["p" * MiB]}, "image_requests": []}


@pytest.fixture
def memory() -> Iterator[RecordedMemory]:
    with recorded_memory() as account:
        yield account


def new(tenant: str, body: dict[str, Any]) -> NewBlueprint:
    return NewBlueprint(tenant, "", uuid4().hex, "", body)


def test_memory_is_reserved_for_the_text_the_parsed_form_and_the_answer(
    blueprints: PostgresBlueprints, tenant: str, memory: RecordedMemory
) -> None:
    small, large = (blueprints.create(new(tenant, body)) for body in (SMALL, LARGE))
    assert blueprints.get(tenant, small).body == SMALL
    assert memory.reserved == 0
    assert blueprints.get(tenant, large).body == LARGE
    assert 3.5 * MiB < memory.reserved < 10 * MiB
    memory.limit = MiB
    with pytest.raises(MemoryError):
        blueprints.get(tenant, large, 1)


def test_a_large_blueprint_is_changed_after_memory_was_reserved_without_a_lock(
    blueprints: PostgresBlueprints, module_database: Parameters, tenant: str, memory: RecordedMemory
) -> None:
    key = blueprints.create(new(tenant, LARGE))
    seen: list[tuple[Blueprint, int]] = []

    def change(latest: Blueprint) -> Version:
        seen.append((latest, int(memory.reserved)))
        return Version(latest.name, "", SMALL)

    def unlocked() -> None:
        with session(module_database) as connection:
            connection.execute("SELECT 1 FROM blueprints WHERE id = %s FOR UPDATE NOWAIT", (key,))

    memory.before_reserving = unlocked
    assert blueprints.change(tenant, key, None, change) == 2
    ((latest, reserved),) = seen
    assert latest.body == LARGE
    assert reserved > 3.5 * MiB
    memory.reserved = 0
    assert blueprints.change(tenant, key, None, change) == 3
    assert memory.reserved == 0


def test_a_large_blueprint_at_another_version_is_refused_before_it_is_read(
    blueprints: PostgresBlueprints, tenant: str, memory: RecordedMemory
) -> None:
    key = blueprints.create(new(tenant, LARGE))
    with pytest.raises(StaleVersionError):
        blueprints.change(tenant, key, frozenset([7]), lambda latest: Version(latest.name, "", latest.body))
    with pytest.raises(StaleVersionError):
        blueprints.delete(tenant, key, frozenset([7]))
    assert blueprints.latest_version(tenant, key) == 1
    blueprints.delete(tenant, key, frozenset([1]))
    assert memory.reserved == 0


def test_the_latest_version_is_that_of_an_undeleted_blueprint_of_the_organization(
    blueprints: PostgresBlueprints, tenant: str
) -> None:
    key = blueprints.create(new(tenant, SMALL))
    blueprints.change(tenant, key, None, lambda latest: Version(latest.name, "", latest.body))
    assert blueprints.latest_version(tenant, key) == 2
    for other in (uuid4().hex, tenant):
        if other == tenant:
            blueprints.delete(tenant, key, None)
        with pytest.raises(NotFoundError, match="Blueprint not found"):
            blueprints.latest_version(other, key)


@pytest.mark.parametrize(
    "customizations",
    [
        {"packages": [f"package-{number}" for number in range(10_000)]},
        {"files": [{"path": f"/etc/{number}", "data": "ä"} for number in range(4_000)]},
        {"files": [{"path": "/etc/a", "data": "{[,:" * 100_000}]},
    ],
)
def test_the_memory_reserved_for_reading_is_sufficient_for_the_parsed_form(
    blueprints: PostgresBlueprints, tenant: str, memory: RecordedMemory, customizations: dict[str, Any]
) -> None:
    body = {"customizations": customizations, "image_requests": []}
    key = blueprints.create(new(tenant, body))
    reservations: list[int] = []
    memory.before_reserving = lambda: reservations.append(1)
    assert blueprints.get(tenant, key).body == body
    assert reservations == [1]
    text = orjson.dumps(body)
    assert memory.reserved >= 3 * len(text) + parsed_size(text)
    assert memory.reserved == blueprints.memory_to_change(tenant, key)


def test_the_additional_memory_of_the_caller_is_reserved_together_with_it(
    blueprints: PostgresBlueprints, tenant: str, memory: RecordedMemory
) -> None:
    key = blueprints.create(new(tenant, LARGE))
    blueprints.get(tenant, key, needed=lambda counts: 10 * counts.size)
    assert 9 * MiB < memory.set_aside + memory.reserved < 11 * MiB


def test_changing_a_small_or_unknown_blueprint_reserves_no_memory(blueprints: PostgresBlueprints, tenant: str) -> None:
    assert blueprints.memory_to_change(tenant, blueprints.create(new(tenant, SMALL))) == 0
    assert blueprints.memory_to_change(tenant, uuid4()) == 0
