"""`image-builder serve`."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import structlog

from adapters.rate_limits.shared import RateLimitMemory
from domain.errors import ConfigurationError
from image_builder import app
from image_builder.cli.embedded import embedded_services, identity_header, write_address
from image_builder.cli.process_limits import prepare_process
from image_builder.cli.server import Server, create_uvicorn_config
from image_builder.cli.stop_signals import StartSignalHandler, StopRequestedError, exit_despite_threads
from image_builder.cli.workers import Workers
from image_builder.composition.adapters import index_packages
from image_builder.configuration.preflight import report_all_faults
from image_builder.configuration.settings import Settings, find_listen_address, is_embedded_requested, load_settings
from image_builder.configuration.worker_count import WorkerCount, choose_worker_count
from image_builder.telemetry.workers import MetricsMemory

log = structlog.get_logger()

# Options that accepted connections inherit from the listener. The kernel doubles buffer sizes; without limits it
# buffers megabytes for a client that does not read, or that sends faster than the service reads. TCP_USER_TIMEOUT
# resets the connection of a client that acknowledges nothing for 30 s.
_CONNECTION_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


@click.command()
@click.option(
    "--embedded",
    is_flag=True,
    help="Start a PostgreSQL server and a stand-in composer as well; IMAGE_BUILDER_EMBEDDED=true does the same.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".data"),
    show_default=True,
    help="Folder in which --embedded stores its data; the next start continues with it.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Worker processes.  [default: WORKERS, or as many as cores and memory allow, at most 8]",
)
def serve(*, embedded: bool, data: Path, workers: int | None) -> None:
    """Serve the API on LISTEN_ADDRESS (default localhost:8086) until Ctrl-C or SIGTERM.

    After SIGTERM /ready answers 503, and the service still accepts requests for SHUTDOWN_GRACE seconds. Then it
    finishes the running requests, for at most SHUTDOWN_TIMEOUT seconds. Ctrl-C or a second signal skips the grace
    period.

    The database must be migrated (`image-builder migrate`); --embedded migrates its database itself.
    """
    signal_handler = StartSignalHandler()
    embedded = embedded or is_embedded_requested()
    if embedded and (address := find_listen_address()):
        _check_address_is_free(address)
    try:
        with embedded_services(data, signal_handler.check) if embedded else nullcontext(), report_all_faults():
            settings = load_settings()
            signal_handler.check()
            _run(
                settings,
                _count_workers(workers, settings.serving.workers),
                signal_handler,
                lambda: _announce(settings, data if embedded else None),
            )
    except StopRequestedError:
        log.info("stopped during the start by a signal")
    exit_despite_threads()


def _count_workers(option: int | None, variable: int | None) -> WorkerCount:
    """The number of workers that the option `--workers`, the variable `WORKERS` or else the system asks for."""
    if option is not None:
        return WorkerCount(option, "--workers")
    return choose_worker_count() if variable is None else WorkerCount(variable, "WORKERS")


def _run(
    settings: Settings, count: WorkerCount, signal_handler: StartSignalHandler, announce: Callable[[], None]
) -> None:
    prepare_process()
    workers = count.number
    settings = replace(settings, serving=settings.serving.for_workers(workers, is_chosen=count.is_chosen))
    create = partial(app.create, settings, index_packages(settings))
    service = create()  # also with several workers, so that faults are reported once and before the service listens
    log.info("number of worker processes", workers=workers, reason=count.reason)
    if settings.ignored_variables:
        log.warning("ignored environment variables", variables=settings.ignored_variables)
    # What exists now stays: garbage collections need not look at it, and would copy the memory that workers share.
    gc.collect()
    gc.freeze()
    signal_handler.stop_interrupting()
    signal_handler.check()
    with ExitStack() as shared:
        if workers > 1:
            create = partial(
                create,
                metrics_memory=shared.enter_context(MetricsMemory.of(workers)),
                rate_limit_memory=shared.enter_context(RateLimitMemory()),
            )
        with _open_listener(settings) as listener:
            announce()
            if workers == 1:
                config = create_uvicorn_config(settings, service, factory=False)
                server = Server(config, settings.serving.shutdown_grace, lambda: signal_handler.is_stop_requested)
                if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                    signal.signal(signal.SIGHUP, server.handle_exit)  # uvicorn handles the other signals itself
                server.run(sockets=[listener])
            else:
                Workers(settings, create, listener, workers).run(lambda: signal_handler.is_stop_requested)


def _open_listener(settings: Settings) -> socket.socket:
    """The socket on which the service listens. Raises ConfigurationError if the address cannot be used."""
    try:
        return _listen(*_resolve(settings.serving.host, settings.serving.port))
    except OSError as error:
        raise ConfigurationError(
            f"LISTEN_ADDRESS {settings.serving.host}:{settings.serving.port}: {error.strerror}"
        ) from None


def _check_address_is_free(address: str) -> None:
    """Raise ConfigurationError if the address is in use, before anything is started."""
    host, _, port = address.rpartition(":")
    try:
        _listen(*_resolve(host.strip("[]"), int(port))).close()
    except OSError as error:
        raise ConfigurationError(
            f"LISTEN_ADDRESS {address}: {error.strerror}. Choose another one, such as: "
            f"LISTEN_ADDRESS=127.0.0.1:{int(port) % 65535 + 1} make run"
        ) from None


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """The address family and the address to bind. Raises OSError if the host name is unknown."""
    if not host:
        return (socket.AF_INET6, ("::", port)) if socket.has_dualstack_ipv6() else (socket.AF_INET, ("0.0.0.0", port))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # `localhost` may be both ::1 and 127.0.0.1; clients usually use 127.0.0.1.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _listen(family: socket.AddressFamily, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if address[0] == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # accept IPv4, too
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
    """Log the address of the service, or, with --embedded (`data` is its folder), print it with examples."""
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

Copy this identity, which may build everything, into another terminal:
  export I={identity_header()}

Try next, in another terminal:
  make demo
  curl -H "x-rh-identity: $I" {url}{settings.serving.base_paths[0]}/composes

Ctrl-C stops everything; the next start continues with the same data.
"""
    )
