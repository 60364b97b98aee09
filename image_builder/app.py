"""The service of one process, as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from image_builder import settings as settings_module
from image_builder.container import Container
from image_builder.http.application import connexion_application
from image_builder.http.bridge import Bridge
from image_builder.http.call import Lane
from image_builder.http.docs import HEADERS, DocsPage
from image_builder.http.edge import Document, Edge, Page
from image_builder.http.json_body import json_body
from image_builder.http.memory import RequestMemory
from image_builder.recurring import Recurring
from image_builder.telemetry import logs, metrics, reports
from image_builder.telemetry.workers import MetricsMemory, MetricsSlot
from ports.packages import PackageLists

log = structlog.get_logger()

# Under this name the lifespan's state has what a server calls when it is about to end.
ABOUT_TO_END: Final = "image_builder.about_to_end"
# Seconds that closing everything may take.
_CLOSE_WITHIN: Final = 8.0
_SAMPLED_EVERY: Final = timedelta(seconds=1)
_RECORDED_EVERY: Final = timedelta(seconds=1)


def create(package_lists: PackageLists | None = None, metrics_memory: MetricsMemory | None = None) -> ASGIApp:
    """The service that the environment describes. Raises ConfigurationError.

    Without `package_lists` it indexes its own; worker processes that are given some share them. One of several worker
    processes is given the `metrics_memory` they share.
    """
    settings = settings_module.from_environment()
    logs.configure(settings.log_level)
    container = Container(settings=settings)
    if package_lists is not None:
        container.package_lists.override(package_lists)
    if metrics_memory is not None:
        container.slot.override(MetricsSlot(metrics_memory))
    container.package_lists()  # a broken list is said now, not at the first search
    application, bridge = connexion_application(
        container.contract(),
        container.routes(),
        base_paths=settings.base_paths,
        authenticate=container.authenticate(),
        limiter=container.limiter(),
        largest_body=settings.largest_body,
        arriving=RequestMemory(settings.request_memory // 4),
        threads={Lane.DIRECT: settings.direct_threads, Lane.WAITING: settings.waiting_threads},
    )
    service = _Service(container, bridge)
    edge = Edge(
        application,
        service.pages(settings.base_paths),
        settings.base_paths,
        container.limiter(),
        container.metrics(),
        container.tracing(),
        RequestMemory(settings.request_memory - settings.request_memory // 4),
    )
    return _WithLifespan(edge, service)


class _Service:
    """What runs beside the requests, and the pages outside the contract."""

    def __init__(self, container: Container, bridge: Bridge) -> None:
        self._container = container
        self._bridge = bridge
        # Probes are answered also when all other threads wait.
        self._probe_threads = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._docs = DocsPage("../openapi.json")
        interval = container.settings().reconcile_interval
        self._reconciling = Recurring("reconcile", container.reconcile(), interval)
        self._recording = Recurring("record", container.record().again, _RECORDED_EVERY)
        # Whichever worker process is asked for metrics tells what the others said last.
        self._sampling = Recurring("sample", container.sampler().sample, _SAMPLED_EVERY)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open what the requests need, and close it at the end: no request runs then, unless it hangs."""
        settings = self._container.settings()
        reports.start(settings.glitchtip_dsn or settings.sentry_dsn, settings.build_commit)
        self._container.tracing().start()
        self._container.database().open()
        self._container.features().start()
        self._container.metrics().started()
        self._reconciling.start()
        self._recording.start()
        self._sampling.start()
        try:
            yield
        finally:
            try:
                await asyncio.wait_for(self._closed(), _CLOSE_WITHIN)
            except TimeoutError:
                log.warning("not all could be closed in time")

    def about_to_end(self) -> None:
        """From now on the service is not ready, though it serves whoever comes."""
        self._container.database_probe().end()

    async def _closed(self) -> None:
        await self._container.rate_limits().aclose()
        # Not on the loop's own threads: its end would wait for them, however long.
        closing = ThreadPoolExecutor(1, thread_name_prefix="closing")
        closed = asyncio.get_running_loop().run_in_executor(closing, self._close)
        closing.shutdown(wait=False)
        await closed

    def _close(self) -> None:
        self._reconciling.stop()
        self._bridge.close()
        self._recording.stop()
        self._container.record().end()
        self._probe_threads.shutdown()
        self._sampling.stop()
        self._container.features().stop()
        self._container.database().close()
        for threads in (
            self._container.image_threads(),
            self._container.lookup_threads(),
            self._container.hash_threads(),
        ):
            threads.shutdown(wait=False, cancel_futures=True)
        self._container.back_ends().close()
        self._container.tracing().stop()
        reports.stop()

    def pages(self, base_paths: Iterable[str]) -> Mapping[str, Page]:
        """What is answered outside the contract, without an identity: a gateway passes on only base paths."""
        return {
            "/status": self._status,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/openapi.json": self._openapi,
            **{f"{base}/docs/": self._docs_page for base in ("", *base_paths)},
        }

    async def _status(self, _path: str) -> Document:
        return _json(self._container.meta().version_document())

    async def _ready(self, _path: str) -> Document:
        probe = self._container.database_probe()
        await asyncio.get_running_loop().run_in_executor(self._probe_threads, probe)
        return _json({"readiness": "ready"})

    async def _metrics(self, _path: str) -> Document:
        self._container.sampler().sample()
        # It takes some milliseconds, for which other requests would wait.
        return Document(await asyncio.to_thread(self._container.metrics().exposition), metrics.CONTENT_TYPE)

    async def _openapi(self, _path: str) -> Document:
        return Document(self._container.contract().served)

    async def _docs_page(self, path: str) -> Document:
        asset = self._docs.asset(path)
        if asset is None:
            raise HTTPException(404)
        content, media_type = asset
        return Document(content, media_type, HEADERS)


class _WithLifespan:
    """An ASGI application that opens and closes the service around the server's life."""

    def __init__(self, edge: Edge, service: _Service) -> None:
        self._edge = edge
        self._service = service

    def refused(self, method: str, path: str, status: int) -> None:
        """What ContractProtocol tells of a request that it refused."""
        self._edge.refused(method, path, status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._edge(scope, receive, send)
            return
        await receive()
        async with self._service.running():
            scope["state"][ABOUT_TO_END] = self._service.about_to_end
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def _json(document: object) -> Document:
    return Document(json_body(document))
