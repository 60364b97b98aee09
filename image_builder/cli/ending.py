"""Being asked to end: before there is a server that listens for it, and after it has gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Final

import structlog

log = structlog.get_logger()

# SIGHUP: the terminal was closed.
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Seconds within which the same signal is the same request: some who send it do so twice, to us and to our group.
_SAME: Final = 0.5
# Seconds that threads get to end.
_LAST_CALL: Final = 1.0


class Requests:
    """The signals that ask a process to end, as they came; the same again at once is none of its own."""

    def __init__(self) -> None:
        self.count = 0
        self.first: int | None = None
        self._last: tuple[int, float] | None = None

    def note(self, number: int) -> bool:
        """Note a signal; whether it asks for more than those before did."""
        now = time.monotonic()
        if self._last is not None and self._last[0] == number and now - self._last[1] < _SAME:
            return False
        self._last = (number, now)
        self.first = self.first or number
        self.count += 1
        return True


class AskedToEndError(KeyboardInterrupt):
    """A signal asked for the end.

    Not KeyboardInterrupt itself: once that has come up through `exec` of a text, as dataclasses are made by, Python
    ends as if SIGINT had killed it, whoever has caught it.
    """


class Ending:
    """Whether the process was asked to end before there is a server that listens for it.

    A signal is AskedToEndError, wherever the start is, and leaves a note for `check`, since an exception out of a
    handler may come up where it is swallowed: in the callback of a weak reference, as the import system uses them.
    """

    def __init__(self) -> None:
        self._requests = Requests()
        self._interrupts = True
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # such as SIGHUP with nohup
                signal.signal(number, self._note)

    @property
    def asked(self) -> bool:
        """Whether somebody wants it."""
        return self._requests.count > 0

    def check(self) -> None:
        """Between the steps of the start: go on. Raises AskedToEndError where that is not wanted."""
        if self.asked:
            raise AskedToEndError

    def started(self) -> None:
        """From now on somebody looks whether it is `asked`, and only a second signal interrupts."""
        self._interrupts = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._requests.note(number) and (self._interrupts or self._requests.count > 1):
            self._interrupts = False
            raise AskedToEndError


def leave() -> None:
    """Return where the process can end by returning, otherwise end it with 0.

    The interpreter would wait for threads whose request hangs; everything else must have been closed.
    """
    deadline = time.monotonic() + _LAST_CALL
    for thread in _others():
        thread.join(max(deadline - time.monotonic(), 0))
    if hanging := _others():
        log.warning("ended while requests hang", threads=[thread.name for thread in hanging])
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _others() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
