"""The service that `image-builder demo` uses: a running one, or one that it starts and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import requests
from rich.console import Console

from image_builder.cli.embedded import find_address
from image_builder.cli.stop_signals import SIGNALS, StartSignalHandler

DEFAULT_URL: Final = "http://127.0.0.1:8086"
# Seconds.
_START_TIMEOUT: Final = 60.0
_END_TIMEOUT: Final = 60.0
_REQUEST_TIMEOUT: Final = 10.0


@contextmanager
def find_or_start_service(
    url: str | None, data: Path, signal_handler: StartSignalHandler, console: Console
) -> Iterator[str]:
    """The URL of a running service: `url`, or a running service that is found, or one that is started for the demo.

    Raises ClickException if the service at `url` does not answer, or the started service does not become ready.
    """
    if url is not None and not _is_ready(url):
        raise click.ClickException(f"No service answers at {url}, or it is not ready (GET {url}/ready)")
    candidates = [url] if url else [found for found in (find_address(data), DEFAULT_URL) if found]
    running = next((candidate for candidate in candidates if _is_ready(candidate)), None)
    if running is not None:
        console.print(f"Using the service at {running}", soft_wrap=True)
        yield running
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started_url = f"http://127.0.0.1:{port}"
    console.print(
        f"No service answers at {candidates[0]}; starting one for the demo at {started_url} ...", soft_wrap=True
    )
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as folder:  # noqa: S108
        Path(folder).chmod(0o755)
        process = None
        try:
            process = _start_service(Path(folder, "data"), port)
            _wait_until_ready(started_url, process, signal_handler)
            yield started_url
        finally:
            # A further signal must not interrupt the clean-up.
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            if process is not None:
                _end_service(process)


def _start_service(data: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this program
        [sys.executable, "-m", "image_builder", "serve", "--embedded", "--data", str(data)],
        env={**os.environ, "LISTEN_ADDRESS": f"127.0.0.1:{port}", "LOG_LEVEL": "WARNING"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_service(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], signal_handler: StartSignalHandler) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not _is_ready(url):
        signal_handler.check()
        if process.poll() is not None or time.monotonic() > deadline:
            raise click.ClickException("the service for the demo does not start")
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/ready", timeout=_REQUEST_TIMEOUT).ok
    except requests.RequestException:
        return False
