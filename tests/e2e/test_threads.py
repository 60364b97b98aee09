"""The service has few threads at rest, also after a burst of requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from adapters.embedded.composer.process import StandInComposer
from tests.support.builders import compose_request
from tests.support.databases import Parameters
from tests.support.footprint import threads
from tests.support.service import Service
from tests.support.waiting import until

# Without those that serve requests there are about twelve: the event loop, the tasks that are repeated, the database
# pool, the monitor of the database, the deadlines of back-ends.
AT_REST = 20
BURST = 40


def test_threads_are_started_for_a_burst_and_end_afterwards(
    module_database: Parameters, composer: StandInComposer
) -> None:
    composer.steer(latency=1.0)
    with Service(module_database, composer.url) as service, ThreadPoolExecutor(BURST) as clients:
        assert service.process is not None
        parent = service.process.pid
        assert threads(parent) <= AT_REST

        def start_build(number: int) -> int:
            return service.client(f"{number:06}").post("/compose", compose_request()).status_code

        answers = [clients.submit(start_build, number) for number in range(BURST)]
        until(lambda: threads(parent) > AT_REST + BURST // 2, "threads for the requests")
        assert [answer.result() for answer in answers] == [201] * BURST
        until(lambda: threads(parent) <= AT_REST, "idle threads end")
