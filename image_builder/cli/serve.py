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
import uvicorn
from uvicorn.supervisors import Multiprocess

from domain.errors import ConfigurationError
from image_builder import app
from image_builder.cli.embedded import identity_header, surroundings
from image_builder.container import package_lists
from image_builder.http.protocol import ContractProtocol
from image_builder.preflight import all_faults_at_once
from image_builder.settings import Settings, embedded_wanted, from_environment
from image_builder.telemetry.workers import shared_directory

log = structlog.get_logger()

# Seconds for which requests that run may go on after the service was told to end.
_GRACE: Final = 30
# Seconds without a sign of life after which a worker process is killed and replaced. uvicorn's 5 are less than one
# needs to begin with a fifth of a CPU, and the next one would need as long.
_BEGINNING: Final = 30


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

    The database must have been migrated (`image-builder migrate`); --embedded does that itself.
    """
    # Ctrl-C and SIGTERM alike unwind what was started, in order.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    embedded = embedded or embedded_wanted()
    try:
        with surroundings(data) if embedded else nullcontext(), all_faults_at_once():
            settings = from_environment()
            _run(settings, workers or settings.workers, announce=lambda: _announce(settings, embedded=embedded))
    except KeyboardInterrupt:
        log.info("interrupted")


def _run(settings: Settings, workers: int, announce: Callable[[], None]) -> None:
    create = partial(app.create, package_lists(settings))
    service = create()  # also with several workers: what is wrong is said once, and before anything listens
    if settings.not_served:
        log.warning("variables are set that do nothing here", variables=settings.not_served)
    with nullcontext() if workers == 1 else shared_directory(workers) as metrics_directory:
        factory = partial(create, metrics_directory=metrics_directory)
        _serve(settings, service if workers == 1 else factory, workers, announce)


def _serve(settings: Settings, service: Any, workers: int, announce: Callable[[], None]) -> None:
    config = uvicorn.Config(
        service,
        factory=workers > 1,
        host=settings.host,
        port=settings.port,
        workers=workers,
        loop="uvloop",
        http=ContractProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        # A worker that starts on a busy machine takes its time, and would be killed and started again for ever.
        timeout_graceful_shutdown=_GRACE,
        timeout_worker_healthcheck=_BEGINNING,
    )
    with _listener(settings) as listener:
        announce()
        if workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
        else:
            Multiprocess(config, sockets=[listener]).run()


def _listener(settings: Settings) -> socket.socket:
    """The socket that is served. Raises ConfigurationError where the address cannot be had."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # `localhost` is 127.0.0.1 where it is both: that is the address everybody types.
        family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return _bound(family, address)
    except OSError as error:
        raise ConfigurationError(f"LISTEN_ADDRESS {settings.host}:{settings.port}: {error.strerror}") from None


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def _announce(settings: Settings, *, embedded: bool) -> None:
    host = "127.0.0.1" if settings.host in {"localhost", "0.0.0.0"} else settings.host
    url = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    if not embedded:
        log.info("serving", url=url + settings.base_paths[0], process=os.getpid())
        return
    click.echo(f"Serving {url}{settings.base_paths[0]} (process {os.getpid()})")
    click.echo(
        f"""
  API        {url}{settings.base_paths[2]}
  API docs   {url}{settings.base_paths[2]}/docs/ (Authorize there with the identity's value)
  identity   x-rh-identity: {identity_header()}

Try next, in another terminal:
  make demo
  curl -H 'x-rh-identity: {identity_header()}' {url}{settings.base_paths[0]}/composes

Ctrl-C ends it all; the next start takes up the same data.
"""
    )
