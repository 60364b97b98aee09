"""/metrics of the running service with two worker processes: each answers with the sum over both."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.embedded.composer.process import StandInComposer
from tests.support import raw_http
from tests.support.blueprints import composed, kept
from tests.support.builders import compose_request, identity
from tests.support.databases import Parameters
from tests.support.metrics import Exposition, eventually, scrape
from tests.support.processes import children_of
from tests.support.service import BASE, Client, Service
from tests.support.waiting import PATIENCE, until

BASES = ("/api/image-builder/v1", "/api/image-builder/v1.0", "/api/v1/image-builder")


@pytest.fixture(scope="module")
def service(module_database: Parameters, composer_process: StandInComposer) -> Iterator[Service]:
    """The running service with two worker processes, for one module of tests."""
    with Service(module_database, composer_process.url, workers=2) as running:
        yield running


def workers_of(service: Service) -> set[int]:
    """The worker processes of the service, as soon as there are two."""
    assert service.process is not None
    parent = service.process.pid
    until(lambda: len(children_of(parent)) == 2, "two workers", PATIENCE)
    return children_of(parent)


def kill_and_await_successor(service: Service, worker: int) -> Exposition:
    """Return the first metrics to which the worker's successor contributes."""
    os.kill(worker, signal.SIGKILL)
    # A worker reports the limit of its pool as soon as it serves.
    return eventually(
        service.url,
        lambda now: now.value("database_pool_limit") == 40 and worker not in workers_of(service),
    )


# The sum


def test_every_request_counts_once_whichever_worker_served_it(service: Service) -> None:
    before = scrape(service.url)
    for _ in range(40):
        assert service.client().get("/distributions").status_code == 200  # each on a connection of its own
    labels = {"path": "/distributions", "method": "GET", "code": "200"}
    expected = before.value("request_count", **labels) + 40
    eventually(service.url, lambda now: now.value("request_count", **labels) >= expected)
    for _ in range(20):
        now = scrape(service.url)
        assert now.value("request_count", **labels) == expected
        counted = now.value("http_duration_seconds_count", path="/distributions")
        assert counted == now.value("request_count", path="/distributions")


def test_the_counts_of_a_killed_worker_remain(module_database: Parameters, composer: StandInComposer) -> None:
    def served(exposition: Exposition) -> float:
        return exposition.value("request_count", path="/version")

    with Service(module_database, composer.url, workers=2) as running:
        eventually(running.url, lambda now: now.value("database_pool_limit") == 40)
        before = workers_of(running)
        for number, worker in enumerate(before, start=1):  # both: whichever had served, it was killed
            for _ in range(30):
                assert running.client().get("/version").status_code == 200
            eventually(running.url, lambda now, number=number: served(now) == 30 * number)
            assert served(kill_and_await_successor(running, worker)) == 30 * number
        assert not before & workers_of(running)


# What counts


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "template", "status"),
    [
        ("POST", "/compose", {"Content-Type": "application/json"}, b"{", "/compose", 400),
        ("POST", "/compose", {"Content-Type": "text/plain"}, b"{}", "/compose", 415),
        ("POST", "/compose", {"Content-Type": "application/json"}, b" " * 5_000_000, "/compose", 413),
        ("GET", "/composes", {"x-rh-identity": "nobody"}, None, "/composes", 401),
        ("GET", f"/composes/{uuid4()}", {}, None, "/composes/{composeId}", 404),
        ("GET", "/nothing/of/this/kind", {}, None, "", 404),
        ("PUT", "/composes", {}, None, "", 405),
        ("GET", "/composes", {"x-junk": "a" * 66_000}, None, "", 431),
        ("GET", "/composes", {"not a name": "x"}, None, "", 400),
    ],
    ids=["400", "415", "413", "401", "404", "no route", "405", "431", "no HTTP"],
)
def test_a_refused_request_is_counted(
    service: Service, method: str, path: str, headers: dict[str, str], body: bytes | None, template: str, status: int
) -> None:
    labels = {"method": method, "path": template, "code": str(status)}
    before = scrape(service.url).value("request_count", **labels)
    sent = {"x-rh-identity": identity("metrics"), **headers}
    answer = raw_http.call(service.url, method, BASE + path, sent, body)
    assert answer.status_code == status
    now = eventually(service.url, lambda now: now.value("request_count", **labels) > before)
    assert now.value("request_count", **labels) == before + 1


@pytest.mark.parametrize(
    "target",
    [
        f"{BASE}/composes\xff".encode("latin-1"),
        f"{BASE}/composes/ü".encode(),
        f"{BASE}/composes?x=\xff".encode("latin-1"),
        f"http://localhost{BASE}/composes\xff".encode("latin-1"),
        f"http://localhost:99999{BASE}/composes".encode(),
    ],
    ids=ascii,
)
def test_a_request_with_an_invalid_target_is_counted(service: Service, target: bytes) -> None:
    labels = {"method": "GET", "path": "", "code": "400"}
    before = scrape(service.url).value("request_count", **labels)
    assert raw_http.call(service.url, "GET", target).status_code == 400
    assert scrape(service.url).value("request_count", **labels) == before + 1


def test_a_request_with_endless_headers_is_counted(service: Service) -> None:
    labels = {"method": "POST", "path": "", "code": "431"}
    before = scrape(service.url).value("request_count", **labels)
    start = f"POST {BASE}/compose HTTP/1.1\r\nhost: x\r\n".encode()
    raw_http.send(service.url, start, *[b"x-filler: " + b"a" * 1000 + b"\r\n"] * 70)
    eventually(service.url, lambda now: now.value("request_count", **labels) == before + 1)


def test_bytes_after_a_request_that_are_not_http_are_not_counted(service: Service) -> None:
    before = scrape(service.url).value("request_count", code="400")
    headers = {"x-rh-identity": identity("metrics")}
    with raw_http.connection(service.url) as opened:
        opened.sendall(raw_http.head("GET", f"{BASE}/version", headers))
        first = raw_http.read(opened)
        assert first is not None
        assert first.status_code == 200
        opened.sendall(b"\x00\x01 no HTTP at all\r\n\r\n")
        second = raw_http.read(opened)
        assert second is not None
        assert second.status_code == 400
    service.client().get("/composes?limit=none")  # refused after it, counts
    now = eventually(service.url, lambda now: now.value("request_count", code="400") > before)
    assert now.value("request_count", code="400") == before + 1


def test_only_requests_below_a_base_are_counted(service: Service) -> None:
    before = scrape(service.url).value("request_count")
    nobody = Client(service.url, {})
    for path in ("/status", "/ready", "/metrics", "/openapi.json", "/docs/", "/nothing", "/api/other/v1/compose"):
        nobody.get(path, base="")
    service.client().get("/version")  # after them all, counts
    now = eventually(service.url, lambda now: now.value("request_count") > before)
    assert now.value("request_count") == before + 1


@pytest.mark.parametrize("base", BASES)
def test_requests_below_all_bases_are_counted_with_the_same_paths(service: Service, base: str) -> None:
    labels = {"path": "/architectures/{distribution}", "code": "200"}
    before = scrape(service.url).value("request_count", **labels)
    service.client().get("/architectures/centos-9", base=base)
    eventually(service.url, lambda now: now.value("request_count", **labels) == before + 1)


def test_labels_have_only_the_paths_of_the_contract_for_any_requested_path(service: Service) -> None:
    client = service.client()
    for number in range(30):
        client.get(f"/nothing-{number}")
        client.get(f"/composes/{uuid4()}")
        client.request("PROPFIND", "/composes")
    templates = set(Client(service.url, {}).get("/openapi.json", base="").json()["paths"])
    now = eventually(service.url, lambda now: now.value("request_count", method="other") >= 30)
    for metric in ("request_count", "http_duration_seconds_count"):
        assert {labels["path"] for labels in now.label_sets(metric)} <= templates | {""}
    methods = {labels["method"] for labels in now.label_sets("request_count")}
    assert methods <= {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "other"}


# Builds


def test_builds_are_counted_including_those_of_blueprints(service: Service, composer: StandInComposer) -> None:
    before = scrape(service.url)
    client = service.client(uuid4().hex)
    client.compose(compose_request())
    assert client.post("/compose", {}).status_code == 400
    composed(client, kept(client))
    expected = before.value("compose_requests_total") + 3
    now = eventually(service.url, lambda now: now.value("compose_requests_total") >= expected)
    assert now.value("compose_requests_total") == expected
    assert now.value("compose_errors") == before.value("compose_errors")


def test_builds_that_fail_without_an_error_of_the_user_count_as_errors(
    module_database: Parameters, composer: StandInComposer
) -> None:
    with Service(module_database, "http://127.0.0.1:1", workers=2) as running:
        for _ in range(3):
            assert running.client(uuid4().hex).post("/compose", compose_request()).status_code >= 500
        now = eventually(running.url, lambda now: now.value("compose_requests_total") >= 3)
        assert now.value("compose_errors") == 3


def test_refusals_caused_by_the_user_do_not_count_as_errors_of_the_service(
    service: Service, composer: StandInComposer
) -> None:
    client = service.client(uuid4().hex)
    blueprint_id = kept(client)
    before = scrape(service.url)
    for error_id, status in (("11", 400), ("30", 400), ("4711", 400), ("20", 500), ("1000", 500)):
        composer.steer(post_error={"status": status if error_id != "20" else 400, "id": error_id, "reason": "no"})
        assert client.post("/compose", compose_request()).status_code == status
        assert client.post(f"/blueprints/{blueprint_id}/compose").status_code == status
    composer.reset()
    expected = before.value("compose_requests_total") + 10
    now = eventually(service.url, lambda now: now.value("compose_requests_total") >= expected)
    assert now.value("compose_errors") == before.value("compose_errors") + 4
    refused = {
        fault: now.value("composer_refusals_total", fault=fault) - before.value("composer_refusals_total", fault=fault)
        for fault in ("user", "service", "composer")
    }
    assert refused == {"user": 6, "service": 2, "composer": 2}


# The rest


def test_calls_of_the_composer_are_counted_by_outcome(service: Service, composer: StandInComposer) -> None:
    def calls(exposition: Exposition, outcome: str) -> float:
        return exposition.value("back_end_duration_seconds_count", back_end="composer", outcome=outcome)

    before = scrape(service.url)
    client = service.client(uuid4().hex)
    client.compose(compose_request())
    composer.steer(post_raw={"status": 500, "body": ""})
    client.post("/compose", compose_request())
    composer.reset()
    now = eventually(service.url, lambda now: calls(now, "failed") > calls(before, "failed"))
    assert calls(now, "success") == calls(before, "success") + 1
    assert calls(now, "failed") == calls(before, "failed") + 1


def test_an_unavailable_composer_opens_the_circuit_breaker(
    module_database: Parameters, composer: StandInComposer
) -> None:
    with Service(module_database, "http://127.0.0.1:1") as running:
        assert scrape(running.url).value("back_end_breaker_open", back_end="composer") == 0
        for _ in range(7):
            running.client(uuid4().hex).post("/compose", compose_request())
        now = scrape(running.url)
        assert now.value("back_end_breaker_open", back_end="composer") == 1
        assert now.value("back_end_duration_seconds_count", back_end="composer", outcome="no_answer") == 5
        assert now.value("back_end_duration_seconds_count", back_end="composer", outcome="turned_away") == 2


def test_the_database_pools_of_all_workers_are_summed(service: Service) -> None:
    now = eventually(service.url, lambda now: now.value("database_pool_limit") == 40)
    assert 0 <= now.value("database_pool_in_use") <= now.value("database_pool_size") <= 40
    assert now.value("database_pool_waiting") == 0


def test_a_build_refused_by_the_quota_is_counted(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    quotas = tmp_path / "quotas.json"
    quotas.write_text('{"default": {"quota": 1, "slidingWindow": 1209600000000000}}')
    with Service(module_database, composer.url, environment={"QUOTA_FILE": str(quotas)}, workers=2) as running:
        client = running.client(uuid4().hex)
        client.compose(compose_request())
        assert scrape(running.url).value("quota_refusals_total") == 0
        assert client.post("/compose", compose_request()).status_code == 403
        assert scrape(running.url).value("quota_refusals_total") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_service_that_has_never_reconciled_exposes_its_start_time(workers: int) -> None:
    began = time.time()
    nowhere = {"host": "127.0.0.1", "port": 1, "dbname": "none", "user": "nobody"}
    with Service(nowhere, "http://127.0.0.1:1", workers=workers) as running:
        assert scrape(running.url).value("starts_reconciled_timestamp_seconds") >= began


# Where they are kept


def test_cleaning_temporary_files_affects_neither_metrics_nor_workers(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary)}
    with Service(module_database, composer.url, environment=environment, workers=2) as running:
        eventually(running.url, lambda now: now.value("database_pool_limit") == 40)
        for _ in range(20):
            assert running.client().get("/version").status_code == 200
        first, second = workers_of(running)
        shutil.rmtree(temporary)
        assert kill_and_await_successor(running, first).value("request_count", path="/version") == 20
        temporary.write_text("no folder")
        assert kill_and_await_successor(running, second).value("request_count", path="/version") == 20
        for _ in range(20):
            assert running.client().get("/version").status_code == 200
        eventually(running.url, lambda now: now.value("request_count", path="/version") == 40)


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_are_stored_in_no_file(
    module_database: Parameters, composer: StandInComposer, tmp_path: Path, workers: int
) -> None:
    with Service(module_database, composer.url, environment={"TMPDIR": str(tmp_path)}, workers=workers) as running:
        running.client().get("/version")
        eventually(running.url, lambda now: now.value("request_count") == 1)
        assert not list(tmp_path.iterdir())
