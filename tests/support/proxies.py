"""Real nginx and HAProxy in front of a server, with the configurations of deploy/proxy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import pytest

from tests.support import output
from tests.support.folders import open_folder
from tests.support.ports import free_port
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE

CONFIGURATIONS: Final = PROJECT / "deploy" / "proxy"
# The addresses of deploy/proxy that stand for an installation's own.
_UPSTREAM: Final = "127.0.0.1:8000"
_GATEWAYS: Final = "192.0.2.0/24"
_ALL: Final = "0.0.0.0/0"

# The usual snippet for WebSockets, in place of the lines that keep Upgrade and Connection from the service.
_WEBSOCKET: Final = {
    'proxy_set_header Connection "";': "proxy_set_header Connection $connection_upgrade;",
    'proxy_set_header Upgrade "";': "proxy_set_header Upgrade $http_upgrade;",
    "upstream image-builder {": (
        'map $http_upgrade $connection_upgrade {\n        default upgrade;\n        "" close;\n    }\n\n'
        "    upstream image-builder {"
    ),
}


class Proxy(Protocol):
    """What `nginx` and `haproxy` have in common."""

    def __call__(self, upstream: int, *, trusting: bool = False) -> AbstractContextManager[int]: ...


@contextmanager
def nginx(
    upstream: int, *, trusting: bool = False, identity: str | None = None, websocket: bool = False
) -> Iterator[int]:
    """Run nginx in front of the port `upstream` of this machine, and return its port.

    `trusting` treats clients as the gateway that sets x-rh-identity. With `identity` the proxy sets this value itself,
    as a proxy that authenticates callers does. `websocket` adds the usual snippet for WebSockets.
    """
    with open_folder() as folder:
        replaced = {
            "listen 8080 default_server;": "listen 127.0.0.1:{port} default_server;",
            f"server {_UPSTREAM};": f"server 127.0.0.1:{upstream};",
            "pid /run/nginx.pid;": f"pid {folder}/nginx.pid;",
            "access_log /var/log/nginx/access.log main;": "access_log off;",
            "error_log /var/log/nginx/error.log;": f"error_log {folder}/error.log;",
            **{
                f"/var/lib/nginx/{kind};": f"{folder}/{kind};" for kind in ("body", "proxy", "fastcgi", "scgi", "uwsgi")
            },
            **(_WEBSOCKET if websocket else {}),
        }
        if trusting:
            replaced[f"{_GATEWAYS} gateway;"] = f"{_ALL} gateway;"
        if identity is not None:
            replaced['proxy_set_header x-rh-identity "";'] = f'proxy_set_header x-rh-identity "{identity}";'
        command = ["nginx", "-p", str(folder), "-g", "daemon off;", "-c"]
        with _running("nginx.conf", command, folder, replaced) as port:
            yield port


@contextmanager
def haproxy(
    upstream: int, *, trusting: bool = False, identity: str | None = None, reuse_always: bool = False
) -> Iterator[int]:
    """Run HAProxy in front of the port `upstream` of this machine, and return its port.

    `trusting` and `identity` are those of `nginx`; with `reuse_always` all clients share connections.
    """
    with open_folder() as folder:
        replaced = {
            "bind :8080": "bind 127.0.0.1:{port}",
            f"server pod {_UPSTREAM}": f"server pod 127.0.0.1:{upstream}",
        }
        if trusting:
            replaced[f"acl trusted_gateway src {_GATEWAYS}"] = f"acl trusted_gateway src {_ALL}"
        if reuse_always:
            replaced["http-reuse safe"] = "http-reuse always"
        if identity is not None:
            dropped = "http-request del-header x-rh-identity unless trusted_gateway"
            replaced[dropped] = f"http-request set-header x-rh-identity {identity}"
        with _running("haproxy.cfg", ["haproxy", "-db", "-f"], folder, replaced) as port:
            yield port


@contextmanager
def _running(name: str, command: list[str], folder: Path, replaced: Mapping[str, str]) -> Iterator[int]:
    """Run the proxy with its configuration, and wait until it listens. Skips the test without it; CI must have it."""
    program = shutil.which(command[0], path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"there is no {command[0]} here")
    port: int = free_port()
    text = (CONFIGURATIONS / name).read_text(encoding="utf-8")
    for old, new in replaced.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new.replace("{port}", str(port)))
    configuration = folder / name
    configuration.write_text(text, encoding="utf-8")
    errors = output.file(command[0])
    with errors.open("ab") as log:
        process = subprocess.Popen([program, *command[1:], str(configuration)], stdout=log, stderr=log)
    try:
        _await_listening(process, port, errors)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _await_listening(process: subprocess.Popen[bytes], port: int, errors: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the proxy does not start: {errors.read_text()}") from None
            time.sleep(0.02)
