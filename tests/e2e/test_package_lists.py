"""Package lists and the worker processes of a running service."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.databases import Parameters
from tests.support.service import Service
from tests.support.waiting import PATIENCE

LIST = "test-9-x86_64-baseos-packages.json"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """One distribution whose package list is `LIST`."""
    folder = tmp_path / "distributions" / "test-9"
    folder.mkdir(parents=True)
    document = {
        "module_platform_id": "platform:el9",
        "distribution": {"name": "test-9", "description": "Test 9"},
        "x86_64": {"repositories": [{"id": "baseos", "baseurl": "https://mirror.example/", "rhsm": False}]},
    }
    (folder / "test-9.json").write_text(json.dumps(document))
    (folder / LIST).write_text('[{"name": "vim", "summary": "An editor"}]')
    return folder.parent


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_package_list_stops_the_start_naming_file_and_field(
    database: Parameters, directory: Path, workers: int
) -> None:
    path = directory / "test-9" / LIST
    path.write_text('[{"name": "vim"}]')
    service = Service(
        database, "http://127.0.0.1:1", environment={"DISTRIBUTIONS_DIR": str(directory)}, workers=workers
    )
    status, output = service.refusal_to_start()
    assert status != 0
    assert f"{path}: [0].summary: Expected text." in output
    assert "Traceback" not in output


def test_workers_and_their_replacements_share_the_lists_that_their_parent_read(
    database: Parameters, composer_process: StandInComposer, directory: Path
) -> None:
    environment = {"DISTRIBUTIONS_DIR": str(directory)}
    with Service(database, composer_process.url, environment=environment, workers=2) as service:
        assert service.process is not None
        parent = service.process.pid
        before = workers_that_map_what_is_mapped_by(parent, 2)
        (directory / "test-9" / LIST).write_text("broken by now")
        os.kill(before.pop(), 9)
        assert len(workers_that_map_what_is_mapped_by(parent, 2) - before) == 1


def workers_that_map_what_is_mapped_by(parent: int, count: int) -> set[int]:
    """The processes below the parent that map its lists, as soon as there is this number of them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = {int(child) for child in children if mapped(int(child)) == mapped(parent) != set()}
        if len(found) == count:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def mapped(process: int) -> set[str]:
    """The inodes of the mapped files with package lists."""
    try:
        lines = Path(f"/proc/{process}/maps").read_text().splitlines()
    except OSError:  # it has ended
        return set()
    return {line.split()[4] for line in lines if "package lists" in line}
