"""A signal while the service starts ends it, wherever the start is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.service import PROJECT

PROGRAM = """
import contextlib, os, signal, sys
from image_builder.cli.ending import AskedToEndError, Ending

ending = Ending()
with contextlib.suppress(AskedToEndError):
    {how}
assert ending.asked
with contextlib.suppress(AskedToEndError):
    ending.check()
    print("goes on")
"""
SIGNALLED = "os.kill(os.getpid(), signal.{name})"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "how",
    [SIGNALLED, f"exec({SIGNALLED + chr(10) + 'sum(range(9))'!r})"],
    ids=["in a function", "in a text, as dataclasses are made"],
)
def test_it_is_the_process_that_decides_how_it_ends(name: str, how: str) -> None:
    program = PROGRAM.format(how=how.format(name=name))
    ended = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
