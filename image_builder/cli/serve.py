"""`image-builder serve`."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import structlog

from domain.errors import ConfigurationError
from image_builder import app
from image_builder.cli.embedded import identity_header, surroundings, write_address
from image_builder.cli.ending import AskedToEndError, Ending, leave
from image_builder.cli.process_limits import prepare_process
from image_builder.cli.server import Server, configuration
from image_builder.cli.workers import Workers
from image_builder.composition.adapters import index_packages
from image_builder.configuration.preflight import report_all_faults
from image_builder.configuration.settings import Settings, find_listen_address, is_embedded_requested, load_settings
from image_builder.telemetry.workers import MetricsMemory

log = structlog.get_logger()

# What accepted connections inherit. The kernel doubles buffer sizes; without limits it buffers megabytes for a client
# that does not read, or that sends faster than it is read. It resets a client that takes in nothing for 30 s.
_CONNECTION_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


@click.command()
@click.option(
    "--embedded",
    is_flag=True,
    help="Bring a PostgreSQL and a stand-in composer; IMAGE_BUILDER_EMBEDDED=true does it too.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".data"),
    show_default=True,
    help="Where --embedded keeps its data from one start to the next.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Worker processes.  [default: WORKERS, or 1]",
)
def serve(*, embedded: bool, data: Path, workers: int | None) -> None:
    """Serve the API on LISTEN_ADDRESS (default localhost:8086) until Ctrl-C or SIGTERM.

    After SIGTERM /ready answers 503, and requests are still taken in for SHUTDOWN_GRACE seconds; then what runs is
    finished, for SHUTDOWN_TIMEOUT seconds at most. Ctrl-C leaves out the grace, and so does a second signal.

    The database must have been migrated (`image-builder migrate`); --embedded does that itself.
    """
    ending = Ending()
    embedded = embedded or is_embedded_requested()
    if embedded and (address := find_listen_address()):
        _check_free(address)
    try:
        with surroundings(data, ending.check) if embedded else nullcontext(), report_all_faults():
            settings = load_settings()
            ending.check()
            _run(
                settings,
                workers or settings.serving.workers,
                ending,
                lambda: _announce(settings, data if embedded else None),
            )
    except AskedToEndError:
        log.info("interrupted")
    leave()


def _run(settings: Settings, workers: int, ending: Ending, announce: Callable[[], None]) -> None:
    prepare_process()
    create = partial(app.create, index_packages(settings))
    service = create()  # also with several workers: what is wrong is said once, and before anything listens
    if settings.ignored_variables:
        log.warning("variables are set that do nothing here", variables=settings.ignored_variables)
    ending.started()
    ending.check()
    with nullcontext() if workers == 1 else MetricsMemory.of(workers) as metrics_memory:
        factory = partial(create, metrics_memory=metrics_memory)
        with _listener(settings) as listener:
            announce()
            if workers == 1:
                config = configuration(settings, service, factory=False)
                server = Server(config, settings.serving.shutdown_grace, lambda: ending.asked)
                if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                    signal.signal(signal.SIGHUP, server.handle_exit)  # uvicorn handles the other signals itself
                server.run(sockets=[listener])
            else:
                Workers(settings, factory, listener, workers).run(lambda: ending.asked)


def _listener(settings: Settings) -> socket.socket:
    """The socket that is served. Raises ConfigurationError where the address cannot be had."""
    try:
        return _bound(*_place(settings.serving.host, settings.serving.port))
    except OSError as error:
        raise ConfigurationError(
            f"LISTEN_ADDRESS {settings.serving.host}:{settings.serving.port}: {error.strerror}"
        ) from None


def _check_free(address: str) -> None:
    """Notice a busy address before anything is started. Raises ConfigurationError."""
    host, _, port = address.rpartition(":")
    try:
        _bound(*_place(host.strip("[]"), int(port))).close()
    except OSError as error:
        raise ConfigurationError(
            f"LISTEN_ADDRESS {address}: {error.strerror}. Choose another one, such as: "
            f"LISTEN_ADDRESS=127.0.0.1:{int(port) % 65535 + 1} make run"
        ) from None


def _place(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """What to bind. Raises OSError."""
    if not host:
        return (socket.AF_INET6, ("::", port)) if socket.has_dualstack_ipv6() else (socket.AF_INET, ("0.0.0.0", port))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # `localhost` is 127.0.0.1 where it is both: that is the address everybody types.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if address[0] == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # IPv4, too
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for level, option, value in _CONNECTION_OPTIONS:
            listener.setsockopt(level, option, value)
        listener.bind(address)
        listener.listen(2048)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def _announce(settings: Settings, data: Path | None) -> None:
    """Say where the service is: in the log, or for the embedded default with its `data` folder, in a text."""
    host = "127.0.0.1" if settings.serving.host in {"", "localhost", "0.0.0.0"} else settings.serving.host
    url = f"http://[{host}]:{settings.serving.port}" if ":" in host else f"http://{host}:{settings.serving.port}"
    if data is None:
        log.info("serving", url=url + settings.serving.base_paths[0], process=os.getpid())
        return
    write_address(data, url)
    click.echo(
        f"""\
Serving {url}{settings.serving.base_paths[0]} (process {os.getpid()})

  API        {url}{settings.serving.base_paths[2]}
  API docs   {url}{settings.serving.base_paths[2]}/docs/ ("Authorize" there takes the identity)

An identity that may build everything, to copy into another terminal:
  export I={identity_header()}

Try next, in another terminal:
  make demo
  curl -H "x-rh-identity: $I" {url}{settings.serving.base_paths[0]}/composes

Ctrl-C stops everything; the next start continues with the same data.
"""
    )
