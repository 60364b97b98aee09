"""A signal during the start ends the service, wherever the start is at that moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.service import PROJECT

PROGRAM = """
import contextlib, os, signal, sys
from image_builder.cli.stop_signals import StartSignalHandler, StopRequestedError

handler = StartSignalHandler()
with contextlib.suppress(StopRequestedError):
    {how}
assert handler.is_stop_requested
with contextlib.suppress(StopRequestedError):
    handler.check()
    print("goes on")
"""
SIGNALLED = "os.kill(os.getpid(), signal.{name})"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "how",
    [SIGNALLED, f"exec({SIGNALLED + chr(10) + 'sum(range(9))'!r})"],
    ids=["in a function", "in exec of a text, which creates dataclasses"],
)
def test_a_process_that_catches_the_stop_request_decides_its_own_exit_status(name: str, how: str) -> None:
    program = PROGRAM.format(how=how.format(name=name))
    ended = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
