"""Several worker processes on one address.

uvicorn's own supervisor sends its workers SIGTERM whatever it was sent itself, keeps the listening socket open until
the last has ended, so that connections queue there which nobody takes in, and cannot run a server of ours.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

import structlog
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from image_builder.cli.ending import SIGNALS, Requests, leave
from image_builder.cli.process_limits import prepare_process
from image_builder.cli.server import Server, configuration
from image_builder.configuration.settings import Settings

log = structlog.get_logger()

_spawn: Final = multiprocessing.get_context("spawn")
# What a worker is told with: to end after the grace, to end without it.
_END: Final = signal.SIGTERM
_HURRY: Final = signal.SIGUSR1
# Seconds between two looks, from the start of a worker to that of its successor at least, and for what a worker has to
# do besides finishing requests.
_LOOK: Final = 0.2
_PACE: Final = 1.0
_SLACK: Final = 12.0


class Workers:
    """`count` processes that serve the listener; one that ends is replaced, until a signal ends them all.

    SIGTERM and SIGINT mean what they mean to a Server, and so does a second signal; a third kills.
    """

    def __init__(self, settings: Settings, create: Callable[[], ASGIApp], listener: socket.socket, count: int) -> None:
        self._settings = settings
        self._create = create
        self._listener = listener
        self._count = count
        self._started: dict[SpawnProcess, float] = {}
        self._requests = Requests()

    def run(self, asked: Callable[[], bool]) -> None:
        """Return when all have ended. Raises SystemExit when a worker cannot serve: the next could not either.

        Closes the listener. `asked` tells whether somebody wanted the end before this listened for signals.
        """
        before = {
            number: signal.signal(number, self._note)
            for number in SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        # Else the start of the first worker starts it, and lets through what is blocked there.
        resource_tracker.ensure_running()
        try:
            while not self._requests.count and not asked():
                self._fill()
                connection.wait([worker.sentinel for worker in self._started], _LOOK)
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._requests.note(number)

    def _fill(self) -> None:
        now = time.monotonic()
        for worker, started in list(self._started.items()):
            if worker.exitcode is None:
                continue
            if worker.exitcode == STARTUP_FAILURE:
                raise SystemExit(1)
            if now - started >= _PACE:
                log.warning(
                    "worker process ended unexpectedly: starting another", process=worker.pid, status=worker.exitcode
                )
                del self._started[worker]
        while len(self._started) < self._count:
            worker = _spawn.Process(target=_work, args=(self._settings, self._create, self._listener))
            # Ctrl-C and SIGHUP go to all processes of a terminal, and the parent tells the worker what they mean. Other
            # signals have to wait until the worker can obey: killed, it would reset connections that queue.
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, _END, _HURRY})
            try:
                worker.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            self._started[worker] = time.monotonic()

    def _end(self) -> None:
        self._tell(_HURRY if self._requests.first == signal.SIGINT else _END)
        # The workers take in what queues until they close it, too.
        self._listener.close()
        obeyed = max(self._requests.count, 1)
        deadline = (
            time.monotonic() + self._settings.serving.shutdown_grace + self._settings.serving.shutdown_timeout + _SLACK
        )
        while alive := self._alive():
            connection.wait([worker.sentinel for worker in alive], _LOOK)
            late = time.monotonic() > deadline
            if self._requests.count > obeyed or late:
                obeyed = self._requests.count
                self._tell(signal.SIGKILL if late or obeyed > 2 else _HURRY)

    def _alive(self) -> list[SpawnProcess]:
        return [worker for worker in self._started if worker.exitcode is None]

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._alive():
            if worker.pid is not None:
                os.kill(worker.pid, number)


class _Worker(Server):
    """A worker's server: its parent asks once and may hurry it; others may ask as often as they like."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == _HURRY or not self._requests.count:
            super().handle_exit(signal.SIGINT if sig == _HURRY else sig, frame)


def _work(settings: Settings, create: Callable[[], ASGIApp], listener: socket.socket) -> None:
    prepare_process()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = _Worker(configuration(settings, create, factory=True), settings.serving.shutdown_grace)
    for number in (_END, _HURRY):
        signal.signal(number, server.handle_exit)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_END, _HURRY})
    server.run(sockets=[listener])
    leave()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), _END)
