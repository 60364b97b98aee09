"""What is done again and again beside the requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import structlog

from domain.errors import UnavailableError

log = structlog.get_logger()


class Recurring:
    """Does `work` at the start and then after each `interval`, on a thread of its own."""

    def __init__(self, name: str, work: Callable[[], object], interval: timedelta) -> None:
        self._name = name
        self._work = work
        self._interval = interval.total_seconds()
        self._ended = Event()
        # A daemon: work that hangs does not keep the process alive.
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; call it once."""
        self._thread.start()

    def stop(self, *, within: float = 5.0) -> None:
        """Begin no more, and wait that many seconds for what runs."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(within)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._work()
            except UnavailableError as error:
                log.warning("put off", work=self._name, reason=error.detail)
            except Exception as error:
                log.error("unforeseen error", work=self._name, exc_info=error)
            self._ended.wait(self._interval)
