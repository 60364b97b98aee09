"""Attacks on memory: the service survives each in 256 MiB, and still serves other clients.

How fast it serves them meanwhile is what `benchmarks.hostile` measures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import cgroups
from tests.support.attacks import ATTACKS, MIB, Attack, attacked
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.processes import children_of
from tests.support.rounds import sampled
from tests.support.service import Service

LIMIT = 256 * MIB
SECONDS = 3.0
# The limits that hold unless an operator sets others.
RATES = {"RATE_LIMIT_READS": "6000", "RATE_LIMIT_WRITES": "600", "RATE_LIMIT_BUILDS": "300"}


@pytest.fixture(scope="module")
def container() -> Iterator[Path]:
    with cgroups.memory_limit(LIMIT) as folder:
        yield folder


@pytest.fixture(scope="module")
def attacked_service(
    module_database: Parameters, composer_process: StandInComposer, container: Path
) -> Iterator[Service]:
    with Service(module_database, composer_process.url, environment=RATES, cgroup=container) as service:
        yield service


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="this machine has one core")
@pytest.mark.parametrize("attack", sampled(ATTACKS, 2), ids=lambda attack: attack.name)
def test_two_workers_survive_an_attack_in_300_mib(
    module_database: Parameters, composer: StandInComposer, attack: Attack
) -> None:
    with (
        cgroups.memory_limit(300 * MIB) as folder,
        Service(module_database, composer.url, environment=RATES, workers=None, cgroup=folder) as service,
    ):
        assert service.process is not None
        workers = children_of(service.process.pid)
        assert len(workers) == 2
        attacked(attack, service.url, module_database, SECONDS)
        assert cgroups.kills(folder) == 0
        assert children_of(service.process.pid) == workers


@pytest.mark.parametrize("attack", sampled(ATTACKS, 5), ids=lambda attack: attack.name)
def test_the_service_survives_an_attack_in_256_mib_and_serves_other_clients(
    attacked_service: Service, module_database: Parameters, container: Path, composer: StandInComposer, attack: Attack
) -> None:
    _, neighbour = attacked(attack, attacked_service.url, module_database, SECONDS)
    process = attacked_service.process
    assert process is not None
    assert process.poll() is None
    assert cgroups.kills(container) == 0
    assert cgroups.peak_of(process.pid) < LIMIT
    assert neighbour.failures == []
    assert attacked_service.client("afterwards").post("/compose", compose_request()).status_code == 201
