"""A service without WORKERS chooses the number of its workers, which share what one worker would have."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import cgroups
from tests.support.databases import Parameters
from tests.support.metrics import eventually
from tests.support.processes import children_of
from tests.support.service import Service
from tests.support.waiting import until

MIB = 1024 * 1024
CORES = min(len(os.sched_getaffinity(0)), 8)


def announced(log: Path) -> dict[str, Any]:
    """The log event with the number of workers."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return next(event for event in events if event["event"] == "number of worker processes")


def workers_of(service: Service) -> int:
    assert service.process is not None
    return len(children_of(service.process.pid))


def test_in_256_mib_one_process_serves_whatever_the_node_has(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with (
        cgroups.memory_limit(256 * MIB) as group,
        Service(module_database, composer.url, workers=None, cgroup=group, log=log) as service,
    ):
        assert workers_of(service) == 0
        assert service.client().get("/composes").status_code == 200
    told = announced(log)
    assert told["workers"] == 1
    assert told["reason"] in {"memory limit of 256 MiB", "1 core"}


@pytest.mark.skipif(CORES == 1, reason="this machine has one core")
def test_with_enough_memory_there_is_a_worker_for_each_core_and_they_share_connections(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with Service(module_database, composer.url, workers=None, log=log) as service:
        number = announced(log)["workers"]
        assert 1 < number <= CORES
        until(lambda: workers_of(service) == number, "the workers")
        eventually(service.url, lambda now: now.value("database_pool_limit") == number * max(20 // number, 5))


def test_the_log_says_that_the_operator_set_the_number(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with Service(module_database, composer.url, workers=None, environment={"WORKERS": "3"}, log=log) as service:
        until(lambda: workers_of(service) == 3, "three workers")
    assert announced(log)["reason"] == "WORKERS"
