"""The load generator, https://github.com/wg/wrk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

_SCRIPT: Final = Path(__file__).with_name("report.lua")
_MARK: Final = "RESULT "


@dataclass(frozen=True, slots=True)
class Load:
    """A request that is sent again and again; with a body it is a POST."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it: times in seconds, percentiles of latency in milliseconds."""

    requests: int
    seconds: float
    broken: int
    refused: int
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def need() -> None:
    """End the program unless wrk is there."""
    if shutil.which("wrk") is None:
        sys.exit("The benchmarks need wrk: apt-get install wrk (Debian, Ubuntu), or dnf install wrk (Fedora).")


def run(url: str, load: Load, *, connections: int, seconds: float) -> Result:
    """Send the load over that many connections for that long.

    Raises RuntimeError when a request was refused or broken: then something else was measured than was meant.
    """
    with started(url, load, connections=connections, seconds=seconds) as process:
        output, _ = process.communicate()
    return _result(output, load)


@contextmanager
def started(url: str, load: Load, *, connections: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The load while it is sent; what has not been sent at the end of the context is not sent."""
    with tempfile.NamedTemporaryFile(prefix="image-builder-benchmark-") as body:
        environment = {"PATH": os.environ["PATH"]}
        if load.body is not None:
            body.write(load.body)
            body.flush()
            environment["WRK_BODY"] = body.name
        process = subprocess.Popen(
            _command(url, load, connections, seconds), env=environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _command(url: str, load: Load, connections: int, seconds: float) -> list[str]:
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={max(round(seconds), 1)}s"]
    command += ["--timeout=20s", f"--script={_SCRIPT}"]
    for name, value in load.headers.items():
        command += ["--header", f"{name}: {value}"]
    return [*command, url + load.path]


def _result(output: str, load: Load) -> Result:
    line = next((line for line in output.splitlines() if line.startswith(_MARK)), None)
    if line is None:
        raise RuntimeError(f"wrk reports nothing for {load.path}: {output}")
    result = Result(**orjson.loads(line.removeprefix(_MARK)))
    if not result.requests or result.broken or result.refused:
        raise RuntimeError(f"{load.path} was not served as it should: {output}")
    return result
