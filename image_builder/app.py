"""The service of one process, as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.rate_limits.shared import RateLimitMemory, SharedRateLimits
from domain.errors import UnavailableError
from image_builder.composition.container import Container
from image_builder.configuration.settings import Settings, load_settings
from image_builder.http.application import create_connexion_application
from image_builder.http.bridge import Bridge
from image_builder.http.call import Lane
from image_builder.http.docs import HEADERS, DocsPage
from image_builder.http.edge import Document, Edge, PageHandler
from image_builder.http.json_body import encode_json_body
from image_builder.http.memory import RequestMemory
from image_builder.telemetry import logs, metrics, reports
from image_builder.telemetry.workers import MetricsMemory, MetricsSlot
from image_builder.thread_pool import ThreadPool
from ports.packages import PackageLists
from ports.periodic_thread import PeriodicThread

log = structlog.get_logger()

# The key in the lifespan's state of a function that the server calls when it is about to end.
ABOUT_TO_END: Final = "image_builder.about_to_end"
# Seconds for closing everything.
_CLOSE_TIMEOUT: Final = 8.0
_SAMPLE_INTERVAL: Final = timedelta(seconds=1)
_RECORD_INTERVAL: Final = timedelta(seconds=1)
_WATCH_INTERVAL: Final = timedelta(seconds=1)


def create(
    settings: Settings | None = None,
    package_lists: PackageLists | None = None,
    metrics_memory: MetricsMemory | None = None,
    rate_limit_memory: RateLimitMemory | None = None,
) -> ASGIApp:
    """The service, with these settings or those of the environment. Raises ConfigurationError.

    Worker processes share the `package_lists`, `metrics_memory` and `rate_limit_memory` of their parent; without them
    the service indexes package lists itself, and keeps metrics and rate limits in its own memory.
    """
    settings = settings or load_settings()
    logs.configure(settings.telemetry.log_level, settings.telemetry.log_format)
    container = Container(settings=settings)
    if package_lists is not None:
        container.package_lists.override(package_lists)
    if metrics_memory is not None:
        container.metrics_slot.override(MetricsSlot(metrics_memory))
    limits = settings.rate_limits
    if rate_limit_memory is not None and limits.enabled and not limits.storage_url:
        container.rate_limits.override(SharedRateLimits(rate_limit_memory, limits.amounts, limits.window))
    container.package_lists()  # report a broken list at start, not at the first search
    serving = settings.serving
    incoming_bytes = serving.request_memory_bytes // 4
    threads = {Lane.DIRECT: serving.direct_threads, Lane.WAITING: serving.waiting_threads}
    bridge = Bridge(threads, container.status_changes())
    application = create_connexion_application(
        container.contract(),
        container.routes(),
        base_paths=serving.base_paths,
        authenticate=container.authenticate(),
        limiter=container.limiter(),
        max_body_bytes=serving.max_body_bytes,
        incoming_bodies=RequestMemory(incoming_bytes),
        bridge=bridge,
    )
    # Probes are answered also when the threads of all lanes wait.
    probe_threads = ThreadPool(1, "probe")
    edge = Edge(
        application,
        _Pages(container, probe_threads).by_path(serving.base_paths),
        serving.base_paths,
        container.limiter(),
        container.metrics(),
        container.tracing(),
        RequestMemory(serving.request_memory_bytes - incoming_bytes),
    )
    return _WithLifespan(edge, container, lambda: _running(container, bridge, probe_threads))


@asynccontextmanager
async def _running(container: Container, bridge: Bridge, probe_threads: ThreadPool) -> AsyncIterator[None]:
    """Open what requests need; at the end close it in reverse order. No request runs then, except one that hangs."""
    opened = ExitStack()
    try:
        _open(opened, container, bridge, probe_threads)
        yield
    finally:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await container.rate_limits().aclose()
                await _close_on_thread(opened)
        except TimeoutError:
            log.warning("shutdown incomplete: closing took too long", seconds=_CLOSE_TIMEOUT)


def _open(opened: ExitStack, container: Container, bridge: Bridge, probe_threads: ThreadPool) -> None:
    """Open everything, and register how each part is closed."""
    settings = container.settings()

    def run_periodically(name: str, task: Callable[[], object], interval: timedelta) -> None:
        thread = PeriodicThread(name, task, interval.total_seconds(), on_error=partial(_log_failure, name))
        thread.start()
        opened.callback(thread.stop)

    reports.start(settings.telemetry.error_report_dsn, settings.build_info.commit)
    opened.callback(reports.stop)
    container.tracing().start()
    opened.callback(container.tracing().stop)
    opened.callback(container.back_ends().close)
    for threads in (container.hash_threads(), container.lookup_threads(), container.image_threads()):
        opened.callback(threads.shutdown, wait=False, cancel_futures=True)
    container.database().open()
    opened.callback(container.database().close)
    container.feature_flags().start()
    opened.callback(container.feature_flags().stop)
    container.metrics().record_start()
    # Each worker publishes its samples, because any worker may be asked for the metrics of all.
    run_periodically("sample", container.sampler().sample, _SAMPLE_INTERVAL)
    opened.callback(probe_threads.shutdown)
    opened.callback(container.record().finish)
    run_periodically("record", container.record().retry_pending, _RECORD_INTERVAL)
    opened.callback(bridge.close)
    run_periodically("reconcile", container.reconcile(), settings.builds.reconcile_interval)
    if settings.statuses.looks_per_second:
        container.metrics().status_watch_completed()
        run_periodically("watch statuses", container.watch(), _WATCH_INTERVAL)
        opened.callback(container.watch().stop)


def _log_failure(task: str, error: Exception) -> None:
    if isinstance(error, UnavailableError):
        log.warning("periodic task postponed", task=task, reason=error.detail)
    else:
        log.error("unforeseen error in a periodic task", task=task, exc_info=error)


async def _close_on_thread(opened: ExitStack) -> None:
    # Not on the event loop's own threads: the end of the loop waits for them, however long they take.
    closing = ThreadPool(1, "closing")
    closed = asyncio.get_running_loop().run_in_executor(closing, opened.close)
    closing.shutdown(wait=False)
    await closed


class _Pages:
    """Pages outside the contract, for which no identity is needed."""

    def __init__(self, container: Container, probe_threads: ThreadPool) -> None:
        self._container = container
        self._probe_threads = probe_threads
        self._metrics_threads = ThreadPool(1, "metrics")
        self._docs = DocsPage("../openapi.json")

    def by_path(self, base_paths: Iterable[str]) -> Mapping[str, PageHandler]:
        """The pages by path. The docs page is also below the base paths, because a gateway forwards only those."""
        return {
            "/status": self._status,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/openapi.json": self._openapi,
            **{f"{base}/docs/": self._docs_page for base in ("", *base_paths)},
            **{f"{base}/docs": self._docs_redirect for base in ("", *base_paths)},
        }

    async def _status(self, _path: str) -> Document:
        return Document(self._container.meta_controller().encoded_version)

    async def _ready(self, _path: str) -> Document:
        probe = self._container.database_probe()
        await asyncio.get_running_loop().run_in_executor(self._probe_threads, probe)
        return _json({"readiness": "ready"})

    async def _metrics(self, _path: str) -> Document:
        self._container.sampler().sample()
        # On a thread: it takes milliseconds, during which the event loop serves other requests.
        exposition = self._container.metrics().exposition
        text = await asyncio.get_running_loop().run_in_executor(self._metrics_threads, exposition)
        return Document(text, metrics.CONTENT_TYPE)

    async def _openapi(self, _path: str) -> Document:
        contract = self._container.contract()
        return Document(contract.encoded, etag=contract.etag)

    async def _docs_page(self, path: str) -> Document:
        asset = self._docs.asset(path)
        if asset is None:
            raise HTTPException(404)
        content, media_type = asset
        return Document(content, media_type, HEADERS)

    async def _docs_redirect(self, _path: str) -> Document:
        # Relative: a gateway may serve the page below a prefix that the service does not know.
        return Document(b"", "text/html; charset=utf-8", {"location": "docs/"}, status=308)


class _WithLifespan:
    """An ASGI application that opens the service when the server starts, and closes it when the server ends."""

    def __init__(
        self, edge: Edge, container: Container, running: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        self._edge = edge
        self._container = container
        self._running = running

    def count_refused(self, method: str, path: str, status: int) -> None:
        """Count and log a request that ContractProtocol refused."""
        self._edge.count_refused(method, path, status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._edge(scope, receive, send)
            return
        await receive()
        async with self._running():
            scope["state"][ABOUT_TO_END] = self._announce_end
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _announce_end(self) -> None:
        """From now on /ready answers 503, and requests that wait are answered; other requests are still served."""
        self._container.database_probe().end()
        self._container.status_changes().end()


def _json(document: object) -> Document:
    return Document(encode_json_body(document))
