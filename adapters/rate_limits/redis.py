"""Rate limits that all processes share, counted in a Redis or Valkey server ("the store")."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from redis._parsers import _AsyncRESP2Parser
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import InvalidResponse, RedisError

from domain.budgets import Budget, BudgetSpending
from domain.errors import ConfigurationError
from ports.meter import Meter

log = structlog.get_logger()

# Connections to the store per process.
_CONNECTIONS: Final = 8
# Bytes. The script returns a few numbers, and error messages of the store are short.
_MAX_ANSWER_SIZE: Final = 4096
_PREFIX: Final = "image-builder"
# Seconds for the trial call right after a failure.
_FIRST_TRIAL_TIMEOUT: Final = 1.0
# Seconds for later trial calls: a store that hangs may recover during the call.
_TRIAL_TIMEOUT: Final = 5.0
_SECONDS_BETWEEN_TRIALS: Final = 1.0
_TRIAL: Final = RateLimitItemPerSecond(1_000_000, namespace="TRIAL")
_SCRIPT: Final = (Path(__file__).parent / "spend.lua").read_text()


class RedisRateLimits:
    """Sliding windows over all processes, by the store's clock. Implements ports.rate_limits.RateLimits.

    A store that does not answer within `patience` seconds counts as unavailable until a trial call in the background
    succeeds. Meanwhile requests are admitted without being counted and without delay.
    """

    def __init__(
        self, url: str, limits: Mapping[Budget, int], window_seconds: int, meter: Meter, *, patience: float = 0.1
    ) -> None:
        """`limits` is the number of requests that each budget allows within any `window_seconds` seconds.

        Raises ConfigurationError for an invalid URL.
        """
        self._store = _Store(url)
        self._limits = {budget: RateLimitItemPerSecond(limit, window_seconds) for budget, limit in limits.items()}
        self._meter = meter
        self._patience = patience
        # The task that makes trial calls while the store is unavailable.
        self._trials: asyncio.Task[None] | None = None

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> BudgetSpending | None:
        """Implements `RateLimits.spend`. Returns None while the store is unavailable."""
        if self._trials is None:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._store.spend(self._limits[budget], budget.value, tenant, amount=amount)
            except Exception as error:  # noqa: BLE001 - no failure of the store may fail a request
                self._start_trials(error)
        self._meter.rate_limit_store_unavailable()
        return None

    async def aclose(self) -> None:
        """Stop the trial calls and close all connections, within a second."""
        if self._trials is not None:
            self._trials.cancel()
            await asyncio.wait([self._trials])
        with suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(1.0):
                await self._store.aclose()

    def _start_trials(self, error: Exception) -> None:
        if self._trials is None:
            self._trials = asyncio.create_task(self._try_until_available(type(error).__name__))

    async def _try_until_available(self, cause: str) -> None:
        # The first trial is made immediately, and its success is not logged: the delay may have been in this process.
        if not await self._is_available(_FIRST_TRIAL_TIMEOUT):
            log.warning("rate limit store unavailable: requests are not limited", cause=cause)
            await asyncio.sleep(_SECONDS_BETWEEN_TRIALS)
            while not await self._is_available(_TRIAL_TIMEOUT):
                await asyncio.sleep(_SECONDS_BETWEEN_TRIALS)
            log.info("rate limit store available again")
        self._trials = None

    async def _is_available(self, timeout: float) -> bool:
        """Return whether the store answers within `timeout` seconds, and then a second time within `patience` seconds.

        Without the second call, a store that always answers too late would delay some requests after each trial.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._store.disconnect()
                await self._store.spend(_TRIAL)
            async with asyncio.timeout(self._patience):
                await self._store.spend(_TRIAL)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True


class _ShortAnswerParser(_AsyncRESP2Parser):
    """The parser of redis-py with a limit on the size of answers, which is checked before an answer is read."""

    _remaining = _MAX_ANSWER_SIZE

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """Read an answer as the base class does. Raises InvalidResponse also for an answer that is too long."""
        self._remaining = _MAX_ANSWER_SIZE
        return await super().read_response(disable_decoding)

    async def _read(self, length: int) -> bytes:
        self._count(length)
        return await super()._read(length)

    async def _readline(self) -> bytes:
        line = await super()._readline()
        self._count(len(line))
        return line

    def _count(self, length: int) -> None:
        self._remaining -= max(length, 1)
        if self._remaining < 0:
            raise InvalidResponse("answer too long")


class _Store:
    """A Redis or Valkey server that counts requests with one script.

    The Redis storage of the library `limits` makes two calls, which cost 160 us of CPU per request instead of 65 (500
    us on threads), and counts by the clocks of its clients, which differ between pods. Its items and keys are used
    here.
    """

    def __init__(self, url: str) -> None:
        """Create the connection pool. Raises ConfigurationError for an invalid URL."""
        try:
            self._pool = BlockingConnectionPool.from_url(
                # Valkey uses the protocol of Redis.
                url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
                max_connections=_CONNECTIONS,
                parser_class=_ShortAnswerParser,
                timeout=None,
                # Each of these would take another round trip for a new connection.
                protocol=2,
                driver_info=None,
                # Callers limit the time of the whole call.
                socket_timeout=None,
                socket_connect_timeout=None,
                socket_keepalive=True,
                # The store may have closed an idle connection, which is noticed only when it is used.
                retry=Retry(NoBackoff(), 1, supported_errors=(NoConnectionError,)),
            )
            self._pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            # The type only: the message may contain the URL's password.
            raise ConfigurationError(f"RATE_LIMIT_STORAGE_URL cannot be used: {type(error).__name__}") from None
        self._script = Redis(connection_pool=self._pool).register_script(_SCRIPT)

    async def spend(self, item: RateLimitItem, *identifiers: str, amount: int = 1) -> BudgetSpending:
        """Count `amount` requests if the item's limit allows all of them. Raises RedisError or OSError."""
        window = timedelta(seconds=item.get_expiry())
        max_microseconds = window // timedelta(microseconds=1)
        answer = await self._script(
            [f"{_PREFIX}:{item.key_for(*identifiers)}"], [item.amount, max_microseconds, amount]
        )
        match answer:
            case [0 | 1 as admitted, int(remaining), int(frees), int(retry)]:
                # Values out of range occur if a process with other limits uses the same window, or the store's clock is
                # set back.
                frees_in = timedelta(microseconds=min(max(frees, 0), max_microseconds))
                retry_in = timedelta(microseconds=min(retry, max_microseconds)) if retry >= 0 else None
                remaining = min(max(remaining, 0), item.amount)
                return BudgetSpending(bool(admitted), item.amount, window, remaining, frees_in, retry_in)
        raise InvalidResponse("unexpected answer of the script")

    async def disconnect(self) -> None:
        """Close idle connections, because they are probably broken after a failure."""
        await self._pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
