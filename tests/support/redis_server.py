"""A real redis-server for one test, which can be killed, stopped, and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from redis import Redis, RedisError

from tests.support.ports import free_port
from tests.support.waiting import PATIENCE


class RedisServer:
    """The server. It stores nothing on disk, and has the same address after each start."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self.port = free_port()
        self._folder = folder
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The value of RATE_LIMIT_STORAGE_URL."""
        return f"redis://{f':{self._password}@' if self._password else ''}127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """A client of the server."""
        return Redis.from_url(self.url, decode_responses=True)

    def start(self) -> Self:
        """Start the server, and wait until it answers. Skips the test without redis-server; CI must have it."""
        if shutil.which("redis-server") is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("there is no redis-server here")
        settings = {"bind": "127.0.0.1", "port": self.port, "save": "", "dir": self._folder}
        if self._password:
            settings["requirepass"] = self._password
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server does not start")
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        """Kill the server."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hold(self) -> None:
        """Stop the server: it accepts connections and bytes, but does not process them."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """Let the server continue with the bytes that have arrived."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()
