"""Long polling (RFC 7240, preference `wait`): a GET that is answered when its representation has changed.

A waiting request holds no thread and no connection of the database: it is a future on the event loop. One statement a
second reads the statuses of all builds that requests of this process wait for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Final
from uuid import UUID

import structlog
from starlette.types import Receive

from domain.errors import InvalidRequestError, UnavailableError
from image_builder.http.answers import Answer, not_modified
from image_builder.http.call import Call, RequestRecord
from image_builder.http.entity_tags import is_known_tag, parse_if_none_match
from image_builder.http.preferences import list_preferences
from image_builder.thread_pool import ThreadPool

log = structlog.get_logger()

# Seconds that a request may wait.
LONGEST_WAIT: Final = 60
# Seconds between two readings of the statuses.
_INTERVAL: Final = 1.0
# Requests whose changed representation is read at the same time: a thousand may wait for one build.
_READ_AT_ONCE: Final = 8
_WAIT: Final = re.compile(
    r"wait[ \t]*=[ \t]*(?P<quote>\"?)(?P<seconds>[^\";,]*)(?P=quote)[ \t]*(?:;.*)?", re.IGNORECASE
)
# Characters of an entity tag (RFC 9110, section 8.8.3); other statuses are hashed.
_TAG: Final = re.compile(r"[\x21\x23-\x7e]{1,64}")


def status_etag(status: str) -> str:
    """Return the weak entity tag of a build's status. It does not depend on the progress of the build."""
    return f'W/"{status if _TAG.fullmatch(status) else sha256(status.encode()).hexdigest()}"'


def parse_wait(prefer: str | None) -> int | None:
    """Return the seconds of the preference `wait`, None without one; other preferences are ignored.

    Raises InvalidRequestError for a value that is not a whole number from 0 to LONGEST_WAIT.
    """
    for preference in list_preferences(prefer):
        found = _WAIT.fullmatch(preference)
        if found is not None:
            seconds = found["seconds"].strip(" \t")
            if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 2 and int(seconds) <= LONGEST_WAIT):
                raise InvalidRequestError(f"Prefer: expected wait=0 to wait={LONGEST_WAIT}, in whole seconds")
            return int(seconds)
    return None


class StatusChanges:
    """Wakes the waiting requests of one process when the status of their build changes.

    All methods must be called on the event loop.
    """

    def __init__(self, read: Callable[[Collection[UUID]], Mapping[UUID, str]], interval: float = _INTERVAL) -> None:
        """`read` returns the known statuses of builds; it is called on a thread, every `interval` seconds."""
        self._read = read
        self._interval = interval
        # For each build, the futures of the requests that wait for it, with the entity tag that each of them knows.
        self._waiting: dict[UUID, dict[asyncio.Future[None], str]] = {}
        self._polling: asyncio.Task[None] | None = None
        self._thread = ThreadPool(1, "status-changes")
        self._ended = False

    async def wait(self, compose_id: UUID, etag: str, seconds: float) -> bool:
        """Wait until the entity tag of the build's status differs from `etag`, for at most this number of seconds.

        Returns whether it differs. Returns False at once when the service is about to end.
        """
        if self._ended:
            return False
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(compose_id, {})[changed] = etag
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(seconds):
                await changed
        except TimeoutError:
            return False
        finally:
            waiting = self._waiting[compose_id]
            del waiting[changed]
            if not waiting:
                del self._waiting[compose_id]
        return not self._ended

    def end(self) -> None:
        """Wake all requests: the service is about to end."""
        self._ended = True
        for waiting in self._waiting.values():
            for changed in waiting:
                _wake(changed)
        self._thread.shutdown(wait=False)

    async def _poll(self) -> None:
        """Read statuses while requests wait."""
        loop = asyncio.get_running_loop()
        while self._waiting and not self._ended:
            await asyncio.sleep(self._interval)
            try:
                statuses = await loop.run_in_executor(self._thread, self._read, list(self._waiting))
            except UnavailableError:
                continue  # the database is unavailable; the requests continue to wait
            except Exception as error:
                if not self._ended:
                    log.error("unforeseen error while requests wait for statuses", exc_info=error)
                continue
            for compose_id, status in statuses.items():
                etag = status_etag(status)
                for changed, known in self._waiting.get(compose_id, {}).items():
                    if known != etag:
                        _wake(changed)


class LongPoll:
    """Answers conditional and waiting requests for the status of a build."""

    def __init__(self, changes: StatusChanges) -> None:
        self._changes = changes
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)

    async def answer(
        self, call: Call, record: RequestRecord, receive: Receive, run: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Return the answer of `run`, or 304 (Not Modified) if the client knows its entity tag.

        The client knows the entity tags of its If-None-Match header. If it waits without this header, it counts as
        knowing the tag of the first answer. `run` is called again each time the status has changed. Raises
        InvalidRequestError for a malformed header, and the errors of `run`.
        """
        seconds = parse_wait(call.arguments["prefer"])
        known = parse_if_none_match(call.arguments["if_none_match"])
        deadline = asyncio.get_running_loop().time() + (seconds or 0)
        reserved = record.memory.snapshot()
        answer = await run()
        etag = _etag(answer)
        if known is None and seconds:
            known = frozenset((etag,))
        while is_known_tag(etag, known):
            answer = not_modified(etag)
            record.memory.restore(reserved)
            if not await self._wait_for_change(call.arguments["compose_id"], etag, deadline, record, receive):
                break
            async with self._reading:
                answer = await run()
            etag = _etag(answer)
        if seconds is not None:
            answer.headers["Preference-Applied"] = f"wait={seconds}"
        return answer

    async def _wait_for_change(
        self, compose_id: UUID, etag: str, deadline: float, record: RequestRecord, receive: Receive
    ) -> bool:
        """Wait for another status until `deadline` or until the client disconnects; return whether it has changed."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        if started_at >= deadline:
            return False
        changed = asyncio.create_task(self._changes.wait(compose_id, etag, deadline - started_at))
        disconnected = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((changed, disconnected), return_when=asyncio.FIRST_COMPLETED)
            return changed.done() and changed.result()
        finally:
            for task in (changed, disconnected):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            record.waited += loop.time() - started_at


def _wake(changed: asyncio.Future[None]) -> None:
    if not changed.done():
        changed.set_result(None)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _etag(answer: Answer) -> str:
    """Return the entity tag of an answer, or an empty text: answers with an error have none."""
    return answer.headers.get("ETag", "")
