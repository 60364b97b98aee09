"""Rate limits that several processes keep together, in a Redis or Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import RedisError

from domain.budgets import Budget, Spent
from domain.errors import ConfigurationError
from ports.meter import Meter

log = structlog.get_logger()

_CONNECTIONS: Final = 8
_PREFIX: Final = "image-builder"
_SECONDS_FOR_THE_FIRST_TRIAL: Final = 1.0
# A store that hangs is asked on one connection, and for this long: it may wake up meanwhile.
_SECONDS_FOR_A_TRIAL: Final = 5.0
_SECONDS_BETWEEN_TRIALS: Final = 1.0
_TRIAL: Final = RateLimitItemPerSecond(1_000_000, namespace="TRIAL")
_SCRIPT: Final = (Path(__file__).parent / "spend.lua").read_text()


class SharedLimits:
    """Fulfils RateLimits: at most so many requests in any window over all processes, by the store's clock.

    A store that does not answer within `patience` seconds is away, until a trial in the background went well: meanwhile
    requests pass uncounted and wait for nothing.
    """

    def __init__(
        self, url: str, amounts: Mapping[Budget, int], window: int, meter: Meter, *, patience: float = 0.1
    ) -> None:
        """`amounts` are what each budget allows within any `window` of seconds.

        Raises ConfigurationError for a URL that cannot be used.
        """
        self._store = _Store(url)
        self._items = {budget: RateLimitItemPerSecond(amount, window) for budget, amount in amounts.items()}
        self._meter = meter
        self._patience = patience
        # What finds out when the store is back; there is one while it is away.
        self._trials: asyncio.Task[None] | None = None

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> Spent | None:
        """See the port. None while the store is away."""
        if self._trials is None:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._store.spend(self._items[budget], budget.value, tenant, amount=amount)
            except Exception as error:  # noqa: BLE001 - no failure of the store may become a caller's
                self._gone(error)
        self._meter.rate_limit_store_away()
        return None

    async def aclose(self) -> None:
        """End the trials, and close all connections, within a second."""
        if self._trials is not None:
            self._trials.cancel()
            await asyncio.wait([self._trials])
        with suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(1.0):
                await self._store.aclose()

    def _gone(self, error: Exception) -> None:
        if self._trials is None:
            self._trials = asyncio.create_task(self._until_back(type(error).__name__))

    async def _until_back(self, cause: str) -> None:
        # At once, and without a word where it goes well: what took too long may have been this process.
        if not await self._answers(_SECONDS_FOR_THE_FIRST_TRIAL):
            log.warning("the store of rate limits is away: nothing is limited", cause=cause)
            await asyncio.sleep(_SECONDS_BETWEEN_TRIALS)
            while not await self._answers(_SECONDS_FOR_A_TRIAL):
                await asyncio.sleep(_SECONDS_BETWEEN_TRIALS)
            log.info("the store of rate limits is back")
        self._trials = None

    async def _answers(self, within: float) -> bool:
        try:
            async with asyncio.timeout(within):
                await self._store.disconnect()
                await self._store.spend(_TRIAL)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True


class _Store:
    """A Redis that counts, and tells what is left, by one script.

    The storage of `limits` asks twice, which costs 160 us of CPU a request instead of 65 (16 at once; on threads 500),
    and it counts by the callers' clocks, which differ from pod to pod. Its items and their keys are used.
    """

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError for a URL that cannot be used."""
        try:
            self._pool = BlockingConnectionPool.from_url(
                # Both speak Redis' protocol.
                url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
                max_connections=_CONNECTIONS,
                timeout=None,
                # Neither is needed, and each is a trip more for a new connection.
                protocol=2,
                driver_info=None,
                # Who asks limits how long it may take, all in all.
                socket_timeout=None,
                socket_connect_timeout=None,
                socket_keepalive=True,
                # A connection that the store closed while nobody used it looks like any other.
                retry=Retry(NoBackoff(), 1, supported_errors=(NoConnectionError,)),
            )
            self._pool.make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            # Without its text, which may show the URL's password.
            raise ConfigurationError(f"RATE_LIMIT_STORAGE_URL cannot be used: {type(error).__name__}") from None
        self._script = Redis(connection_pool=self._pool).register_script(_SCRIPT)

    async def spend(self, item: RateLimitItem, *identifiers: str, amount: int = 1) -> Spent:
        """Count `amount` if the item allows all. Raises RedisError, and what else a connection may come to."""
        window = timedelta(seconds=item.get_expiry())
        admitted, remaining, frees_in, retry_in = await self._script(
            [f"{_PREFIX}:{item.key_for(*identifiers)}"], [item.amount, window // timedelta(microseconds=1), amount]
        )
        return Spent(
            bool(admitted),
            item.amount,
            window,
            remaining,
            timedelta(microseconds=frees_in),
            timedelta(microseconds=retry_in) if retry_in >= 0 else None,
        )

    async def disconnect(self) -> None:
        """Close the connections that nobody uses: after a failure the others are no better than the one that failed."""
        await self._pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
