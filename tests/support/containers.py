"""Containers with the restrictions of a cluster: read-only, no root, no capabilities, little memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.models.containers import Container

from tests.support.databases import LABEL
from tests.support.waiting import PATIENCE

MEMORY = 256 * 1024 * 1024

RESTRICTED: Mapping[str, Any] = {
    "read_only": True,
    "tmpfs": {"/tmp": "size=64m"},  # noqa: S108 - the container's
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "mem_limit": MEMORY,
    "memswap_limit": MEMORY,
    "labels": {LABEL: ""},
}


def engine() -> docker.DockerClient | None:
    """The Docker engine, if one answers."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).is_socket():
        return None  # docker-py would leave its socket open when it cannot connect
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except DockerException:
        return None
    return client


@contextmanager
def running(client: docker.DockerClient, image: str, command: Sequence[str], **options: Any) -> Iterator[Container]:
    """Run a restricted container, remove it at the end, and show its output if the test fails."""
    container = client.containers.run(image, list(command), detach=True, **{**RESTRICTED, **options})
    try:
        yield container
    finally:
        print(container.logs(tail=50).decode(errors="replace"))  # noqa: T201
        container.remove(force=True, v=True)


def ended(client: docker.DockerClient, image: str, command: Sequence[str], **options: Any) -> tuple[int, str]:
    """The exit status and the output of a restricted container that ends by itself."""
    with running(client, image, command, **options) as container:
        status = container.wait(timeout=PATIENCE)["StatusCode"]
        return int(status), container.logs().decode()


def address(container: Container) -> str:
    """The address of a container for other containers."""
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])


def gateway(container: Container) -> str:
    """The address at which a container reaches published ports of other containers."""
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"]["bridge"]["Gateway"])


def published(container: Container, port: int) -> int:
    """The port of this machine that is published for a port of the container."""
    container.reload()
    return int(container.ports[f"{port}/tcp"][0]["HostPort"])


def until(met: Callable[[], bool], what: str) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.2)


def lines(container: Container) -> list[dict[str, Any]]:
    """The lines of the container's log that are JSON."""
    text = container.logs().decode()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
