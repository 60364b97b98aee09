"""Tasks that are repeated on a thread of their own while the service runs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread


class PeriodicThread:
    """Runs `task` at its start and then `interval` seconds after each run, on a thread of its own.

    Start it in the process that needs it: a thread does not survive a fork.
    """

    def __init__(
        self, name: str, task: Callable[[], object], interval: float, *, on_error: Callable[[Exception], None]
    ) -> None:
        """`on_error` is called with the error of a run; the next run follows nevertheless."""
        self._task = task
        self._interval = interval
        self._on_error = on_error
        self._stop_requested = Event()
        # A daemon: a task that hangs does not keep the process alive.
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; call this only once."""
        self._thread.start()

    def stop(self, *, timeout: float = 5.0) -> None:
        """Start no further run, and wait at most `timeout` seconds for the current one."""
        self._stop_requested.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop_requested.is_set():
            try:
                self._task()
            except Exception as error:  # noqa: BLE001 - the owner of the task reports it
                self._on_error(error)
            self._stop_requested.wait(self._interval)
