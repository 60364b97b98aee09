"""Starts `image-builder` without importing it again: importing it takes most of the CPU time of a start.

One process for each process of the test run has imported the program and prepared its start
(`tests/support/prepared_start.py`). It forks for each start; the new process is then what `python -m image_builder` is:
a session of its own, with the given arguments, environment and output.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.support.waiting import PATIENCE

_PROJECT: Final = Path(__file__).parent.parent.parent
# Bytes of arguments and environment.
_LARGEST: Final = 150_000


class Process:
    """A started program; methods and attributes are those of `subprocess.Popen`."""

    def __init__(self, status: socket.socket) -> None:
        self._status = status
        self._lock = threading.Lock()
        self.returncode: int | None = None
        self.pid = int(self._receive())

    def poll(self) -> int | None:
        """The exit status, or None while the program runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status; negative numbers are signals. Raises subprocess.TimeoutExpired."""
        with self._lock:
            if self.returncode is None:
                self._status.settimeout(timeout)
                try:
                    self.returncode = int(self._receive())
                except (TimeoutError, BlockingIOError):
                    raise subprocess.TimeoutExpired("image-builder", timeout or 0) from None
                self._status.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _receive(self) -> bytes:
        received = self._status.recv(64)
        if not received:
            raise RuntimeError("the launcher has ended")
        return received


def launch(
    arguments: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int, memory: int | None = None
) -> Process:
    """Start `image-builder` with these arguments in `/`, in a process that may take so many bytes of memory.

    `stdout` and `stderr` are file descriptors.
    """
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        program = {"arguments": list(arguments), "environment": dict(environment), "memory": memory}
        message = json.dumps(program).encode()
        assert len(message) < _LARGEST
        socket.send_fds(_launcher(), [message], [theirs.fileno(), stdout, stderr])
    return Process(own)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], memory: int | None = None
) -> subprocess.CompletedProcess[str]:
    """The ended command, started as `launch` does. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = launch(arguments, environment, stdout.fileno(), stderr.fileno(), memory)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        for file in (stdout, stderr):
            file.seek(0)
        return subprocess.CompletedProcess(arguments, status, stdout.read().decode(), stderr.read().decode())


@functools.cache
def _launcher() -> socket.socket:
    """The connection to the launcher of this process, which ends with this process."""
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.launcher", str(theirs.fileno())],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_PROJECT)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        own.close()
        process.wait()

    atexit.register(end)
    return own


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each message. Returns the message in a new process, and None in the launcher at its end."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    _report(selector, key)
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 3)
                if not message:
                    return None
                status = socket.socket(fileno=descriptors[0])
                child = os.fork()
                if child == 0:
                    with control, status:
                        _become_program(status, *descriptors[1:])
                    _forget_others(selector)
                    return dict(json.loads(message))
                for descriptor in descriptors[1:]:
                    os.close(descriptor)
                selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, status))


def _report(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Tell whoever started a process how it has ended."""
    child, status = key.data
    selector.unregister(key.fd)
    os.close(key.fd)
    _, ended = os.waitpid(child, 0)
    with status, suppress(OSError):
        status.send(str(os.waitstatus_to_exitcode(ended)).encode())


def _become_program(status: socket.socket, stdout: int, stderr: int) -> None:
    os.setsid()
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    status.send(str(os.getpid()).encode())


def _forget_others(selector: selectors.BaseSelector) -> None:
    for key in selector.get_map().values():
        if key.data is not None:
            os.close(key.fd)
            key.data[1].close()


def main() -> None:
    """Serve the process that started this one, on the socket of the number that is the argument."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would be part of the report
        from tests.support import prepared_start  # noqa: PLC0415 - it imports the program
    prepared_start.prepare()
    gc.freeze()
    message = _serve(socket.socket(fileno=int(sys.argv[1])))
    if message is not None:
        if message["memory"]:
            resource.setrlimit(resource.RLIMIT_DATA, (message["memory"],) * 2)
        os.environ.clear()
        os.environ.update(message["environment"])
        sys.argv[1:] = message["arguments"]
        _run_program()


def _run_program() -> None:
    """Run the program, and end as the interpreter does, except that modules are not taken apart.

    That would copy all memory that this process shares with the launcher, and take most of the CPU time of a program.
    """
    status = 0
    try:
        runpy.run_module("image_builder", run_name="__main__", alter_sys=True)
    except SystemExit as error:
        if isinstance(error.code, str):
            raise
        status = error.code or 0
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
