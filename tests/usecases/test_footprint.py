"""The memory that starting builds takes is reserved first (image_builder.usecases.footprint)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import orjson
import pytest

from domain.blueprints.blueprint import Blueprint
from domain.errors import UnavailableError
from domain.json_size import JsonCounts, json_counts
from domain.submission import Accepted
from image_builder.usecases.build_blueprint import BuildBlueprint
from image_builder.usecases.footprint import max_submitted_at_once, memory_of
from ports.memory import Reserved, current_memory
from tests.support.builders import compose_request, image_request
from tests.support.domain_builders import completed
from tests.support.starting import CALLER, World

MIB = 1024**2


class Account:
    """Notes what is reserved; refuses where `full`. The request has some bytes already."""

    def __init__(self) -> None:
        self.reserved: list[int] = []
        self.full = False

    @property
    def size(self) -> int:
        """See ports.memory."""
        return 1000 + sum(self.reserved)

    def snapshot(self) -> Reserved:
        """See ports.memory."""
        return Reserved(self.size, 0)

    def restore(self, reserved: Reserved) -> None:
        """See ports.memory."""
        assert reserved == self.snapshot()

    def reserve(self, size: int, later: int = 0) -> None:
        """See ports.memory."""
        assert not later
        if self.full:
            raise UnavailableError("Too much memory is in use")
        self.reserved.append(size)


@pytest.fixture
def account() -> Iterator[Account]:
    noted = Account()
    token = current_memory.set(noted)
    yield noted
    current_memory.reset(token)


class OneBlueprint:
    """A tenant's only blueprint."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._blueprint = Blueprint(uuid4(), "b", "", 1, uuid4(), body)

    def get(self, _tenant: str, _blueprint_id: object, *, needed: Callable[[JsonCounts], int]) -> Blueprint:
        """See ports.store."""
        self.most_needed = needed(json_counts(orjson.dumps(self._blueprint.body)))
        return self._blueprint


def building(world: World, customizations: Mapping[str, Any], images: int) -> BuildBlueprint:
    body = {
        "distribution": "centos-9",
        "customizations": customizations,
        "image_requests": [image_request(size=number + 1) for number in range(images)],
    }
    world.composer.submit = lambda _request: Accepted(uuid4())  # type: ignore[method-assign]
    return BuildBlueprint(OneBlueprint(body), completed, world._start, check=None)  # type: ignore[arg-type]


def with_file(size: int) -> dict[str, Any]:
    return {"files": [{"path": "/etc/a", "data": "x" * size}]}


def with_files(number: int) -> dict[str, Any]:
    return {"files": [{"path": f"/etc/{each}", "data": ""} for each in range(number)]}


def test_the_builds_of_a_blueprint_reserve_memory_once_and_first(world: World, account: Account) -> None:
    world.quotas.quota = None
    build = building(world, with_file(100_000), 3)
    build(CALLER, uuid4(), "api", None)
    (reserved,) = account.reserved
    assert reserved > 3 * 100_000
    account.full = True
    world.starts.calls.clear()
    with pytest.raises(UnavailableError):
        build(CALLER, uuid4(), "api", None)
    assert world.starts.calls == []


def test_a_blueprint_of_200_kb_with_36_images_takes_less_than_an_organization_may_have(
    world: World, account: Account
) -> None:
    world.quotas.quota = None
    building(world, with_file(200_000), 36)(CALLER, uuid4(), "api", None)
    (reserved,) = account.reserved
    assert 36 * 200_000 < reserved < 32 * MIB


@pytest.mark.parametrize("images", [1, 2, 36])
@pytest.mark.parametrize("customizations", [with_file(3_000_000), with_file(10), with_files(4_000)])
def test_what_is_reserved_before_a_blueprint_is_read_suffices_for_its_builds(
    world: World, account: Account, customizations: Mapping[str, Any], images: int
) -> None:
    world.quotas.quota = None
    build = building(world, customizations, images)
    build(CALLER, uuid4(), "api", None)
    assert build.blueprints.most_needed >= account.size  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [1_000_000, 2_000_000, 3_000_000, 3_900_000, 4_190_000])
@pytest.mark.parametrize("images", [1, 2, 40])
def test_no_body_of_4_mib_takes_more_than_36_mib_however_many_images_it_has(size: int, images: int) -> None:
    document = completed(compose_request(customizations=with_file(size)))
    assert memory_of([document] * images) < 36 * MIB


def test_many_small_entries_count_more_than_one_large_one() -> None:
    many, one = (compose_request(customizations=each) for each in (with_files(10_000), with_file(400_000)))
    assert memory_of([many]) > memory_of([one]) + 8 * MIB


def test_small_requests_are_all_serialized_at_once_and_large_ones_one_at_a_time() -> None:
    small, large = (compose_request(customizations=with_file(each)) for each in (100_000, 4_000_000))
    assert max_submitted_at_once([small] * 40) >= 40
    assert max_submitted_at_once([large] * 40) == 1


def test_a_too_deeply_nested_document_counts_as_empty_because_it_is_refused_later() -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    assert memory_of([{"customizations": {"deep": deep}}]) > 0
