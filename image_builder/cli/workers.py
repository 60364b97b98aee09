"""The supervisor of several worker processes that serve one address.

It replaces uvicorn's supervisor, which sends its workers SIGTERM for every signal, keeps the listening socket open
until the last worker has ended, so that connections queue there without an answer, and cannot run the class `Server`.

Workers are forked, so that they share the memory of the imported program with the supervisor. The supervisor has one
thread and no event loop: no lock is held by a thread that does not exist in the worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import Final

import structlog
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from image_builder.cli.process_limits import end_with_parent
from image_builder.cli.server import Server, create_uvicorn_config
from image_builder.cli.stop_signals import SIGNALS, StopSignals, exit_despite_threads
from image_builder.configuration.settings import Settings

log = structlog.get_logger()

_fork: Final = multiprocessing.get_context("fork")
# Signals from the supervisor to a worker: shut down after the grace period, or without it.
_END: Final = signal.SIGTERM
_HURRY: Final = signal.SIGUSR1
# Seconds between two checks of the workers.
_CHECK_INTERVAL: Final = 0.2
# Seconds that pass at least from the start of a worker to the start of its successor.
_MIN_RESTART_INTERVAL: Final = 1.0
# Seconds for a worker to end, in addition to the time for its requests; then it is killed.
_END_TIMEOUT: Final = 12.0


class Workers:
    """Runs `count` worker processes on one listener, and replaces those that end, until a signal stops all.

    SIGTERM, SIGINT and a second signal have the same effect as on a Server; a third signal kills the workers.
    """

    def __init__(self, settings: Settings, create: Callable[[], ASGIApp], listener: socket.socket, count: int) -> None:
        self._settings = settings
        self._create = create
        self._listener = listener
        self._count = count
        self._started: dict[ForkProcess, float] = {}
        self._stop_signals = StopSignals()

    def run(self, is_stop_requested: Callable[[], bool]) -> None:
        """Run the workers, close the listener, and return when all workers have ended.

        `is_stop_requested` tells whether a signal arrived before this method handled signals. Raises SystemExit if a
        worker cannot start to serve, because its successor could not either.
        """
        before = {
            number: signal.signal(number, self._handle_signal)
            for number in SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            while not self._stop_signals.count and not is_stop_requested():
                self._start_missing()
                connection.wait([worker.sentinel for worker in self._started], _CHECK_INTERVAL)
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle_signal(self, number: int, _frame: FrameType | None) -> None:
        self._stop_signals.record(number)

    def _start_missing(self) -> None:
        now = time.monotonic()
        for worker, started in list(self._started.items()):
            if worker.exitcode is None:
                continue
            if worker.exitcode == STARTUP_FAILURE:
                raise SystemExit(1)
            if now - started >= _MIN_RESTART_INTERVAL:
                log.warning(
                    "worker process ended unexpectedly, starting another", process=worker.pid, status=worker.exitcode
                )
                del self._started[worker]
        while len(self._started) < self._count:
            worker = _fork.Process(target=_run_worker, args=(self._settings, self._create, self._listener, os.getpid()))
            # A terminal sends SIGINT and SIGHUP to all its processes; the worker waits for the signal of its supervisor
            # instead. Other signals wait until the worker handles them: if they killed it, it would reset connections.
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, _END, _HURRY})
            try:
                worker.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            self._started[worker] = time.monotonic()

    def _end(self) -> None:
        self._send_signal(_HURRY if self._stop_signals.first == signal.SIGINT else _END)
        # Connections in the backlog are not lost: the workers accept them before they close their listeners.
        self._listener.close()
        handled_signals = max(self._stop_signals.count, 1)
        deadline = (
            time.monotonic()
            + self._settings.serving.shutdown_grace
            + self._settings.serving.shutdown_timeout
            + _END_TIMEOUT
        )
        while alive := self._alive():
            connection.wait([worker.sentinel for worker in alive], _CHECK_INTERVAL)
            late = time.monotonic() > deadline
            if self._stop_signals.count > handled_signals or late:
                handled_signals = self._stop_signals.count
                self._send_signal(signal.SIGKILL if late or handled_signals > 2 else _HURRY)

    def _alive(self) -> list[ForkProcess]:
        return [worker for worker in self._started if worker.exitcode is None]

    def _send_signal(self, number: signal.Signals) -> None:
        for worker in self._alive():
            if worker.pid is not None:
                os.kill(worker.pid, number)


class _Worker(Server):
    """The server of a worker. After the first signal it obeys only `_HURRY`, which its supervisor sends."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == _HURRY or not self._stop_signals.count:
            super().handle_exit(signal.SIGINT if sig == _HURRY else sig, frame)


def _run_worker(settings: Settings, create: Callable[[], ASGIApp], listener: socket.socket, supervisor: int) -> None:
    server = _Worker(create_uvicorn_config(settings, create, factory=True), settings.serving.shutdown_grace)
    for number in (_END, _HURRY):
        signal.signal(number, server.handle_exit)
    end_with_parent(supervisor, _END)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_END, _HURRY})
    server.run(sockets=[listener])
    exit_despite_threads()
