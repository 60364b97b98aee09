"""A deadline for a whole HTTP call: connecting, sending the request and reading the answer.

The timeout of `requests` limits the time between two reads only: a back-end that sends single bytes slowly could hold
its caller for ever. Here one thread watches all calls, and shuts down the connection of a call whose deadline has
passed; the thread of the call then sees the connection end. The connections are those of deadline_connections.py.
"""

from __future__ import annotations

import heapq
import math
import os
import socket
import time
from contextlib import suppress
from itertools import count
from threading import Condition, Thread, local
from typing import Final, Self

from urllib3.exceptions import ProtocolError, ReadTimeoutError


class UnsentError(ConnectionError):
    """The connection ended before any byte of the request was written to it."""


def is_unsent(error: BaseException) -> bool:
    """Whether this error of urllib3 means that no byte of the request was written."""
    return isinstance(error, ProtocolError) and any(isinstance(cause, UnsentError) for cause in error.args)


class Line:
    """A second handle of a connection's socket, by which the thread of the deadlines shuts the connection down.

    A handle of its own has a file descriptor whose number no other connection gets as long as the handle is open. All
    methods are called under the lock of that thread.
    """

    __slots__ = ("_handle",)

    def __init__(self, connection: socket.socket) -> None:
        self._handle = socket.socket(fileno=os.dup(connection.fileno()))

    def shut_down(self) -> None:
        with suppress(OSError):  # the connection had ended before
            self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._handle.close()


class CallDeadline:
    """The deadline of the calls that a thread makes over connections with deadlines within this context manager.

    Afterwards `has_expired` says whether the deadline ended a call.
    """

    __slots__ = (
        "deadline",
        "has_ended",
        "has_expired",
        "line",
        "max_idle",
        "needs_new_connection",
        "owns_line",
        "reuses_connection",
    )

    def __init__(self, deadline: float, max_idle: float | None = None) -> None:
        """`deadline` is a time of `time.monotonic()`.

        `max_idle` is None if the requests are idempotent. Otherwise they use a pooled connection only if that was idle
        for less than `max_idle` seconds.
        """
        self.deadline = deadline
        self.max_idle = max_idle
        # Whether the last request went out on a pooled connection, and whether the next one must not.
        self.reuses_connection = False
        self.needs_new_connection = False
        self.has_expired = False
        self.has_ended = False
        # The connection that the call uses, and whether the end of the call closes its line.
        self.line: Line | None = None
        self.owns_line = False

    def __enter__(self) -> Self:
        _this_thread.call = self
        _deadline_thread.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        _this_thread.call = None
        _deadline_thread.end(self)

    def attach(self, line: Line) -> bool:
        """Shut this connection down when the deadline passes. Returns False if it has passed already."""
        return _deadline_thread.attach(self, line)

    def detach(self) -> None:
        """Do not shut down the connection any more: its next user may have it."""
        _deadline_thread.detach(self)

    def may_reuse(self, idle_since: float) -> bool:
        """Whether this call may use a connection that has been idle since `idle_since` (`time.monotonic()`)."""
        if self.needs_new_connection:
            return False
        return self.max_idle is None or time.monotonic() - idle_since < self.max_idle

    def may_send_again(self, error: Exception) -> bool:
        """Whether the request that failed with this error of urllib3 may be sent again at once."""
        if self.has_expired:
            return False
        if is_unsent(error):
            return True
        # After a read timeout the server is slow, but it has the request.
        return self.max_idle is None and self.reuses_connection and not isinstance(error, ReadTimeoutError)


class _ThisThread(local):
    call: CallDeadline | None = None


class _DeadlineThread:
    """The thread that shuts down the connections of calls at their deadlines; it starts with the first call."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._number = count()
        # A heap, ordered by deadline. Ended calls stay in it until then: searching for them would cost more.
        self._calls: list[tuple[float, int, CallDeadline]] = []
        # The time at which the thread wakes up.
        self._wakes_at = math.inf
        self._thread: Thread | None = None

    def add(self, call: CallDeadline) -> None:
        with self._changed:
            heapq.heappush(self._calls, (call.deadline, next(self._number), call))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="back-end-deadlines", daemon=True)
                self._thread.start()
            elif call.deadline < self._wakes_at:
                self._changed.notify()

    def end(self, call: CallDeadline) -> None:
        call.has_ended = True
        if call.line is not None:
            self.detach(call)

    def attach(self, call: CallDeadline, line: Line) -> bool:
        with self._changed:
            self._replace_line(call, None if call.has_expired else line)
            return not call.has_expired

    def detach(self, call: CallDeadline) -> None:
        with self._changed:
            self._replace_line(call, None)

    def _replace_line(self, call: CallDeadline, line: Line | None) -> None:
        """Set the line of a call. The caller holds the lock."""
        if call.line is not None and call.owns_line:
            call.line.close()
        call.line, call.owns_line = line, False

    def release(self, line: Line, call: CallDeadline | None) -> None:
        with self._changed:
            if call is not None and call.line is line:
                call.owns_line = True
            else:
                line.close()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                while self._calls and (self._calls[0][2].has_ended or self._calls[0][0] <= now):
                    _, _, call = heapq.heappop(self._calls)
                    if not call.has_ended:
                        _expire(call)
                self._wakes_at = self._calls[0][0] if self._calls else math.inf
                self._changed.wait(self._wakes_at - now if self._calls else None)


def _expire(call: CallDeadline) -> None:
    call.has_expired = True
    if call.line is not None:
        call.line.shut_down()


_this_thread: Final = _ThisThread()
_deadline_thread = _DeadlineThread()


def current_call() -> CallDeadline | None:
    """Return the deadline of the call that this thread is making, None if it makes none."""
    return _this_thread.call


def release_line(line: Line) -> None:
    """Close the line of a connection that has been closed; if the current call still reads its answer, at its end."""
    _deadline_thread.release(line, current_call())


def _after_fork() -> None:
    global _deadline_thread  # noqa: PLW0603 - threads and their locks do not survive a fork
    _deadline_thread = _DeadlineThread()


os.register_at_fork(after_in_child=_after_fork)
