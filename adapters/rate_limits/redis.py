"""Rate limits that several processes keep together, in a Redis or Valkey."""

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

_CONNECTIONS: Final = 8
# Bytes: the script answers with three numbers, and what the store says of errors is short.
_LARGEST_ANSWER: Final = 4096
_PREFIX: Final = "image-builder"
_SECONDS_FOR_THE_FIRST_TRIAL: Final = 1.0
# A store that hangs is asked on one connection, and for this long: it may wake up meanwhile.
_SECONDS_FOR_A_TRIAL: Final = 5.0
_SECONDS_BETWEEN_TRIALS: Final = 1.0
_TRIAL: Final = RateLimitItemPerSecond(1_000_000, namespace="TRIAL")
_SCRIPT: Final = (Path(__file__).parent / "spend.lua").read_text()


class SharedLimits:
    """Fulfils ports.rate_limits.RateLimits: a sliding window over all processes, by the store's clock.

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

    async def spend(self, tenant: str, budget: Budget, amount: int = 1) -> BudgetSpending | None:
        """See the port. None while the store is away."""
        if self._trials is None:
            try:
                async with asyncio.timeout(self._patience):
                    return await self._store.spend(self._items[budget], budget.value, tenant, amount=amount)
            except Exception as error:  # noqa: BLE001 - no failure of the store may become a caller's
                self._gone(error)
        self._meter.rate_limit_store_unavailable()
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
        if not await self._is_back(_SECONDS_FOR_THE_FIRST_TRIAL):
            log.warning("rate limit store unavailable: requests are not limited", cause=cause)
            await asyncio.sleep(_SECONDS_BETWEEN_TRIALS)
            while not await self._is_back(_SECONDS_FOR_A_TRIAL):
                await asyncio.sleep(_SECONDS_BETWEEN_TRIALS)
            log.info("rate limit store available again")
        self._trials = None

    async def _is_back(self, within: float) -> bool:
        """Whether the store answers within so many seconds, and then a second time as fast as requests need it.

        A store that answers, but always too late, would hold up some requests after each trial.
        """
        try:
            async with asyncio.timeout(within):
                await self._store.disconnect()
                await self._store.spend(_TRIAL)
            async with asyncio.timeout(self._patience):
                await self._store.spend(_TRIAL)
        except Exception:  # noqa: BLE001 - as above
            return False
        return True


class _ShortAnswerParser(_AsyncRESP2Parser):
    """Redis' own parser, but an answer longer than any of the script's is refused before it is read."""

    _left = _LARGEST_ANSWER

    async def read_response(self, disable_decoding: bool = False) -> Any:
        """See redis-py. Raises InvalidResponse besides."""
        self._left = _LARGEST_ANSWER
        return await super().read_response(disable_decoding)

    async def _read(self, length: int) -> bytes:
        self._take(length)
        return await super()._read(length)

    async def _readline(self) -> bytes:
        line = await super()._readline()
        self._take(len(line))
        return line

    def _take(self, length: int) -> None:
        self._left -= max(length, 1)
        if self._left < 0:
            raise InvalidResponse("an answer that is too long")


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
                parser_class=_ShortAnswerParser,
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

    async def spend(self, item: RateLimitItem, *identifiers: str, amount: int = 1) -> BudgetSpending:
        """Count `amount` if the item allows all. Raises RedisError, and what else a connection may come to."""
        window = timedelta(seconds=item.get_expiry())
        longest = window // timedelta(microseconds=1)
        answer = await self._script([f"{_PREFIX}:{item.key_for(*identifiers)}"], [item.amount, longest, amount])
        match answer:
            case [0 | 1 as admitted, int(remaining), int(frees), int(retry)]:
                # Processes with other limits may count in the same windows, and a store's clock may be set back.
                frees_in = timedelta(microseconds=min(max(frees, 0), longest))
                retry_in = timedelta(microseconds=min(retry, longest)) if retry >= 0 else None
                left = min(max(remaining, 0), item.amount)
                return BudgetSpending(bool(admitted), item.amount, window, left, frees_in, retry_in)
        raise InvalidResponse("no answer of the script")

    async def disconnect(self) -> None:
        """Close the connections that nobody uses: after a failure the others are no better than the one that failed."""
        await self._pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()
