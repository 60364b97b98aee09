"""Runs other test files of this project again on another server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from psycopg.conninfo import make_conninfo

from tests.support.databases import Parameters
from tests.support.service import PROJECT


def pass_on(server: Parameters, tests: Sequence[str], *options: str) -> None:
    """Run these tests on the server in a separate process; if one fails, fail with the output of pytest."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *options, *tests],
        env={**os.environ, "DATABASE_URL": make_conninfo("", **server)},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = ended.stdout.decode(errors="replace")
    print(output[-300:])  # noqa: T201
    assert ended.returncode == 0, output[-10_000:]
