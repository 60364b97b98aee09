"""The shutdown of the service aborts no accepted request, is limited in time, and leaves no process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from typing import Any

import pytest
import requests

from adapters.embedded.composer.process import StandInComposer
from tests.support import raw_http, waiting
from tests.support.builders import compose_request, identity
from tests.support.busy import busy_clients
from tests.support.databases import Parameters, session
from tests.support.processes import children_of, is_alive
from tests.support.refusals import refusal
from tests.support.rounds import sampled
from tests.support.rows import counts
from tests.support.service import BASE, Service
from tests.support.waiting import PATIENCE

until = partial(waiting.until, what="it comes to that", within=PATIENCE)
IDENTITY = {"x-rh-identity": identity("shutdown")}
PROCESSES = [pytest.param(1, id="one process"), pytest.param(2, id="two workers")]
both = pytest.mark.parametrize("workers", sampled(PROCESSES, 1))


def serving(
    database: Parameters, composer: StandInComposer, workers: int = 1, *, grace: int = 0, **environment: str
) -> Service:
    told = {"SHUTDOWN_GRACE": str(grace), **environment}
    return Service(database, composer.url, environment=told, workers=workers)


def signalled(service: Service, number: signal.Signals = signal.SIGTERM) -> subprocess.Popen[bytes]:
    assert service.process is not None
    service.process.send_signal(number)
    return service.process


def readiness(service: Service) -> int:
    return requests.get(f"{service.url}/ready", timeout=PATIENCE).status_code


def refuses(service: Service) -> bool:
    try:
        requests.get(f"{service.url}/status", timeout=PATIENCE)
    except requests.ConnectionError:
        return True
    return False


def is_listening(service: Service) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", service.port)) == 0


def hanging(service: Service, composer: StandInComposer, callers: ThreadPoolExecutor) -> Any:
    """The future answer to a build for which the composer hangs."""
    composer.steer(hang=True)
    answer = callers.submit(service.client("hanging").post, "/compose", compose_request())
    until(lambda: composer.counters().get("POST /compose") == 1)
    return answer


@both
@pytest.mark.parametrize("grace", [0, 2], ids=["without grace", "with grace"])
def test_no_accepted_request_of_busy_clients_is_aborted(
    database: Parameters, composer: StandInComposer, workers: int, grace: int
) -> None:
    composer.steer(latency=0.3)
    with serving(database, composer, workers, grace=grace) as service, busy_clients(service.port, "busy") as clients:
        until(lambda: all(len(client.answers) > 2 for client in clients))
        assert signalled(service).wait(PATIENCE) == 0
    assert [client.cut for client in clients if client.cut] == []
    answers = [answer for client in clients for answer in client.answers]
    assert {status for status, _ in answers} == {201}
    with session(database) as connection:
        rows = {str(row[0]) for row in connection.execute("SELECT job_id FROM composes")}
    assert {document["id"] for _, document in answers} == rows


@both
def test_during_the_grace_period_the_service_is_not_ready_and_still_serves(
    database: Parameters, composer: StandInComposer, workers: int
) -> None:
    with serving(database, composer, workers, grace=600) as service:
        assert readiness(service) == 200
        process = signalled(service)
        until(lambda: readiness(service) == 503)
        # As often as it takes to meet every worker.
        answers = [service.client(str(number)).get("/composes") for number in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        refusal(service.client().get("/ready"), 503)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_during_the_grace_period_a_connection_is_closed_with_its_next_answer(
    database: Parameters, composer: StandInComposer
) -> None:
    request = raw_http.head("GET", f"{BASE}/composes", IDENTITY)
    with serving(database, composer, grace=600) as service, raw_http.connection(service.url) as kept:
        kept.sendall(request)
        before = raw_http.read(kept)
        process = signalled(service)
        until(lambda: readiness(service) == 503)
        kept.sendall(request)
        after = raw_http.read(kept)
        process.send_signal(signal.SIGINT)
    assert before is not None
    assert after is not None
    assert (before.status_code, before.headers["Connection"]) == (200, None)
    assert (after.status_code, after.headers["Connection"]) == (200, "close")


@both
def test_ctrl_c_in_a_terminal_skips_the_grace_period_and_finishes_running_requests(
    database: Parameters, composer: StandInComposer, workers: int
) -> None:
    composer.steer(latency=2.0)
    with serving(database, composer, workers, grace=600) as service, ThreadPoolExecutor(1) as caller:
        answer = caller.submit(service.client("terminal").post, "/compose", compose_request())
        until(lambda: composer.counters().get("POST /compose") == 1)
        assert service.process is not None
        os.killpg(service.process.pid, signal.SIGINT)  # a terminal sends it to all processes
        assert service.process.wait(PATIENCE) == 0
        assert answer.result().status_code == 201


@both
def test_a_second_signal_ends_the_grace_period(database: Parameters, composer: StandInComposer, workers: int) -> None:
    with serving(database, composer, workers, grace=600) as service:
        process = signalled(service)
        until(lambda: readiness(service) == 503)
        time.sleep(0.6)  # at once it would be the same signal
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


@both
def test_an_immediately_repeated_signal_does_not_end_the_grace_period(
    database: Parameters, composer: StandInComposer, workers: int
) -> None:
    with serving(database, composer, workers, grace=600) as service:
        process = signalled(service)
        process.send_signal(signal.SIGTERM)
        until(lambda: readiness(service) == 503)
        time.sleep(1)
        assert readiness(service) == 503
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


@both
def test_a_hanging_request_is_answered_and_abandoned_at_the_time_limit(
    database: Parameters, composer: StandInComposer, workers: int
) -> None:
    forever = {"COMPOSE_DEADLINE": "600", "START_LEASE": "600"}
    with (
        serving(database, composer, workers, SHUTDOWN_TIMEOUT="1", **forever) as service,
        ThreadPoolExecutor(1) as caller,
    ):
        answer = hanging(service, composer, caller)
        began = time.monotonic()
        process = signalled(service)
        until(lambda: refuses(service))
        assert not answer.done(), "it is waited for"
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - began < PATIENCE
        assert "ended" in refusal(answer.result(), 503)
        assert int(answer.result().headers["Retry-After"]) > 0
    assert counts(database, "hanging") == (0, 1)


@both
def test_a_further_signal_ends_the_wait_for_a_hanging_request(
    database: Parameters, composer: StandInComposer, workers: int
) -> None:
    forever = {"COMPOSE_DEADLINE": "600", "START_LEASE": "600"}
    with (
        serving(database, composer, workers, SHUTDOWN_TIMEOUT="600", **forever) as service,
        ThreadPoolExecutor(1) as caller,
    ):
        answer = hanging(service, composer, caller)
        process = signalled(service)
        until(lambda: refuses(service))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert "ended" in refusal(answer.result(), 503)


def test_a_request_with_partly_received_headers_is_answered(database: Parameters, composer: StandInComposer) -> None:
    request = raw_http.head("GET", f"{BASE}/composes", IDENTITY)
    with serving(database, composer) as service, raw_http.connection(service.url) as opened:
        opened.sendall(request[:40])
        time.sleep(0.2)  # until it is read
        process = signalled(service)
        until(lambda: refuses(service))
        time.sleep(2)  # longer than silent connections are kept
        opened.sendall(request[40:])
        answer = raw_http.read(opened)
        assert process.wait(PATIENCE) == 0
    assert answer is not None
    assert (answer.status_code, answer.headers["Connection"]) == (200, "close")


def test_a_request_on_a_new_connection_is_answered(database: Parameters, composer: StandInComposer) -> None:
    with serving(database, composer) as service:
        assert service.process is not None
        service.process.send_signal(signal.SIGSTOP)
        connection = HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
        connection.connect()  # by the system: the process is not asked
        service.process.send_signal(signal.SIGTERM)
        service.process.send_signal(signal.SIGCONT)
        connection.request("GET", f"{BASE}/composes", headers=IDENTITY)
        assert connection.getresponse().status == 200
        connection.close()
        assert service.process.wait(PATIENCE) == 0


def test_silent_connections_do_not_delay_the_shutdown(database: Parameters, composer: StandInComposer) -> None:
    with (
        serving(database, composer, SHUTDOWN_TIMEOUT="600") as service,
        raw_http.connection(service.url),
        raw_http.connection(service.url) as used,
    ):
        used.sendall(raw_http.head("GET", "/status"))
        assert raw_http.read(used) is not None
        assert signalled(service).wait(PATIENCE) == 0


def test_a_killed_worker_is_replaced(database: Parameters, composer: StandInComposer) -> None:
    with serving(database, composer, 2) as service:
        assert service.process is not None
        parent = service.process.pid
        until(lambda: len(children_of(parent)) == 2)
        first = children_of(parent)
        for worker in first:
            os.kill(worker, signal.SIGKILL)
        until(lambda: len(children_of(parent) - first) == 2)
        until(lambda: not refuses(service))
        assert service.client("replaced").get("/composes").status_code == 200
        assert signalled(service).wait(PATIENCE) == 0


def test_a_request_that_queues_while_workers_start_is_answered(database: Parameters, composer: StandInComposer) -> None:
    service = serving(database, composer, 2)
    starting = subprocess.Popen(
        [sys.executable, "-m", "image_builder", "serve", "--workers=2"],
        env=service.environment,
        cwd="/",
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: is_listening(service))
        with raw_http.connection(service.url) as opened:
            opened.sendall(raw_http.head("GET", f"{BASE}/composes", IDENTITY))
            until(lambda: len(children_of(starting.pid)) == 2)
            starting.terminate()
            answer = raw_http.read(opened)
        assert starting.wait(PATIENCE) == 0
    finally:
        starting.kill()
        starting.wait()
    assert answer is not None
    assert answer.status_code == 200


def test_workers_end_with_their_supervisor(database: Parameters, composer: StandInComposer) -> None:
    with serving(database, composer, 2) as service:
        assert service.process is not None
        workers = children_of(service.process.pid)
        service.process.kill()
        service.process.wait()
        until(lambda: not any(map(is_alive, workers)))
        until(lambda: refuses(service))
