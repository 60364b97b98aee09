"""Pages of 100 builds with requests of 4 MB each are complete, of bounded size, and answered in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters, session
from tests.support.rounds import sampled
from tests.support.rows import insert_blueprint_version, insert_compose
from tests.support.service import Client, Service
from tests.support.waiting import SOON

MiB: Final = 1024 * 1024
ROWS: Final = 100
TENANT: Final = "large"
# What an answer may have besides its requests, and the time that a busy machine may take for it.
MARGIN: Final = 256 * 1024
SECONDS: Final = 2 * SOON
# By how much a process may grow for a page.
GROWTH: Final = 100 * MiB

# One row is sent, the server makes the others of it.
COPY: Final = """
INSERT INTO composes (job_id, request, created_at, account_number, org_id, blueprint_version_id)
SELECT gen_random_uuid(), request, created_at - n * interval '1 minute', '', org_id, blueprint_version_id
FROM composes, generate_series(1, %s) n WHERE job_id = %s
"""


def large_request() -> dict[str, Any]:
    """A request of 4 MB: files that compress a little, and packages that stay in shortened requests."""
    data = "".join(uuid4().hex + "=" * 16 for _ in range(MiB // 48))
    files = [{"path": f"/etc/large/{number}", "data": data} for number in range(4)]
    return compose_request(customizations={"files": files, "packages": ["nginx"]})


class Rows:
    """The large rows, all of one blueprint; `whole` is one of them."""

    def __init__(self, database: Parameters) -> None:
        blueprint, version = insert_blueprint_version(database, TENANT, 1)
        self.blueprint = str(blueprint)
        self.request = large_request()
        whole = insert_compose(database, TENANT, self.request, blueprint_version_id=version)
        self.whole = str(whole)
        with session(database) as connection:
            connection.execute(COPY, (ROWS - 1, whole))


@pytest.fixture(scope="module")
def rows(module_database: Parameters) -> Rows:
    return Rows(module_database)


@pytest.fixture
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """A separate service for each test, so that its memory shows the cost of the test's requests only."""
    with Service(module_database, composer_process.url) as running:
        yield running


def peak_of(service: Service) -> int:
    """The most memory that the process has ever had, in bytes."""
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def page(client: Client, path: str) -> tuple[dict[str, Any], int]:
    """A page that must be answered in bounded time, and its size in bytes."""
    began = time.monotonic()
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:1000]
    assert time.monotonic() - began < SECONDS
    document: dict[str, Any] = answer.json()
    return document, len(answer.content)


@pytest.mark.parametrize("limit", sampled([100, 50, 1], 1))
@pytest.mark.parametrize("of_a_blueprint", [False, True], ids=["/composes", "/blueprints/{id}/composes"])
def test_a_page_of_large_requests_has_all_its_rows_and_a_bounded_size(
    service: Service, rows: Rows, limit: int, of_a_blueprint: bool
) -> None:
    client = service.client(TENANT)
    path = f"/blueprints/{rows.blueprint}/composes" if of_a_blueprint else "/composes"
    page(client, f"{path}?limit=1&offset={ROWS}")
    before = peak_of(service)
    document, size = page(client, f"{path}?limit={limit}")
    assert document["meta"]["count"] == ROWS
    assert len(document["data"]) == limit
    assert size < 8 * MiB + MARGIN
    shortened = [item for item in document["data"] if item.get("shortened")]
    assert len(shortened) == max(limit - 1, 0)
    for item in shortened:
        customizations = item["request"]["customizations"]
        assert customizations["packages"] == ["nginx"]
        assert customizations["files"] == [{"path": f"/etc/large/{number}"} for number in range(4)]
        assert item["request"]["image_requests"] == rows.request["image_requests"]
    (whole,) = [item for item in document["data"] if not item.get("shortened")]
    assert whole["request"] == rows.request
    assert peak_of(service) - before < GROWTH


def test_a_compose_is_answered_completely_by_its_id(
    service: Service, rows: Rows, module_database: Parameters, composer: StandInComposer
) -> None:
    client = service.client(TENANT)
    build = client.compose(compose_request())
    client.get(f"/composes/{build}")
    before = peak_of(service)
    put_large = "UPDATE composes SET request = (SELECT request FROM composes WHERE job_id = %s) WHERE job_id = %s"
    with session(module_database) as connection:
        connection.execute(put_large, (rows.whole, build))
    answer = client.get(f"/composes/{build}")
    assert answer.status_code == 200
    assert answer.json()["request"] == rows.request
    assert peak_of(service) - before < GROWTH
    assert client.delete(f"/composes/{build}").status_code == 200
