"""Signals that ask a process to stop, handled while no server runs: during the start, and after the server's end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final

import structlog

from image_builder.thread_pool import PoolThread

log = structlog.get_logger()

# SIGHUP: the terminal was closed.
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Seconds within which a repeated signal counts as one request: some senders signal the process and its process group.
_REPEAT_INTERVAL: Final = 0.5
# Seconds that threads get to end.
_THREAD_END_TIMEOUT: Final = 1.0
_THREAD_CHECK_INTERVAL: Final = 0.05


class StopSignals:
    """The signals that asked a process to stop. `count` is their number, `first` the number of the first signal."""

    def __init__(self) -> None:
        self.count = 0
        self.first: int | None = None
        self._last: tuple[int, float] | None = None

    def record(self, number: int) -> bool:
        """Record a signal. Returns False for an immediate repetition, which is not counted."""
        now = time.monotonic()
        if self._last is not None and self._last[0] == number and now - self._last[1] < _REPEAT_INTERVAL:
            return False
        self._last = (number, now)
        self.first = self.first or number
        self.count += 1
        return True


class StopRequestedError(KeyboardInterrupt):
    """A signal asked the process to stop.

    It is not KeyboardInterrupt itself: after one has passed through `exec` of a text, which creates dataclasses, Python
    ends as if SIGINT had killed it, even if the exception was caught.
    """


class StartSignalHandler:
    """Handles the signals that arrive before a server handles them.

    A signal raises StopRequestedError wherever the start is at that moment. It is also recorded for `check`, because
    Python swallows the exception in some places, such as the callbacks of weak references in the import system.
    """

    def __init__(self) -> None:
        self._stop_signals = StopSignals()
        self._interrupts = True
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                signal.signal(number, self._handle)

    @property
    def is_stop_requested(self) -> bool:
        """Whether a signal has arrived."""
        return self._stop_signals.count > 0

    def check(self) -> None:
        """Raise StopRequestedError if a signal has arrived; called between the steps of the start."""
        if self.is_stop_requested:
            raise StopRequestedError

    def stop_interrupting(self) -> None:
        """Let only a second signal raise: from now on the server checks `is_stop_requested` when it starts."""
        self._interrupts = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._stop_signals.record(number) and (self._interrupts or self._stop_signals.count > 1):
            self._interrupts = False
            raise StopRequestedError


def exit_despite_threads() -> None:
    """Return if no thread keeps the process running, otherwise end the process with status 0.

    The interpreter would wait for threads with hanging requests. The caller must have closed everything else.
    """
    deadline = time.monotonic() + _THREAD_END_TIMEOUT
    while (hanging := _running_threads()) and time.monotonic() < deadline:
        hanging[0].join(_THREAD_CHECK_INTERVAL)  # a thread of a pool may end its work without ending itself
    if hanging:
        log.warning("process ended while requests were hanging", threads=[thread.name for thread in hanging])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _running_threads() -> list[threading.Thread]:
    """The threads that run work to be finished: those that are no daemons, and the busy ones of pools."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return [thread for thread in others if (thread.is_busy if isinstance(thread, PoolThread) else not thread.daemon)]
