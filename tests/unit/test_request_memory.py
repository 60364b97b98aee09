"""Limits of the memory that requests reserve: in total, and for each organization."""

from __future__ import annotations

import asyncio
import threading

import pytest

from domain.errors import InvalidRequestError, UnavailableError
from image_builder.http.memory import Account, RequestMemory
from ports.memory import current_memory, release_set_aside, reserve_memory, temporary_memory
from tests.support.waiting import BRIEFLY, PATIENCE


def impatient() -> RequestMemory:
    return RequestMemory(100, max_thread_wait=0.01)


def test_two_organizations_may_reserve_half_of_the_memory_each() -> None:
    memory = impatient()
    Account(memory, "a").reserve(50)
    with pytest.raises(UnavailableError):
        Account(memory, "a").reserve(1)
    Account(memory, "b").reserve(50)
    assert memory.used == 100


def test_a_reservation_above_the_limit_of_an_organization_is_refused_at_once() -> None:
    account = Account(RequestMemory(100, max_thread_wait=600), "a")
    account.reserve(30)
    with pytest.raises(InvalidRequestError):
        account.reserve(21)


def test_the_memory_of_a_request_is_released_at_its_end() -> None:
    memory = impatient()
    first = Account(memory, "a")
    first.reserve(20)
    first.reserve(30)
    first.close()
    assert memory.used == 0
    Account(memory, "a").reserve(50)


def test_a_reservation_waits_until_another_request_ends() -> None:
    memory = RequestMemory(100, max_thread_wait=60)
    first, second = Account(memory, "a"), Account(memory, "a")
    first.reserve(50)
    waiting = threading.Thread(target=second.reserve, args=(40,))
    waiting.start()
    first.close()
    waiting.join(PATIENCE)
    assert (second.size, memory.used) == (40, 40)


def test_waiting_on_the_event_loop_does_not_block_it() -> None:
    memory = RequestMemory(100, max_thread_wait=60)
    first, second = Account(memory, "a"), Account(memory, "a")
    first.reserve(50)

    async def wait() -> None:
        waiting = asyncio.create_task(second.reserve_async(40))
        await asyncio.sleep(0)
        first.close()
        await waiting

    asyncio.run(wait())
    assert memory.used == 40


def test_a_request_that_is_cancelled_while_it_waits_has_no_memory_reserved() -> None:
    memory = RequestMemory(100, max_thread_wait=60)
    first, second = Account(memory, "a"), Account(memory, "a")
    first.reserve(50)

    async def wait() -> None:
        waiting = asyncio.create_task(second.reserve_async(40))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(wait())
    second.close()
    first.close()
    assert memory.used == 0


def test_the_number_of_waiting_requests_of_an_organization_is_limited() -> None:
    memory = RequestMemory(100, max_loop_wait=PATIENCE)
    Account(memory, "a").reserve(50)

    async def crowd() -> list[BaseException | None]:
        accounts = [Account(memory, "a") for _ in range(100)]
        waiting = [asyncio.create_task(account.reserve_async(1)) for account in accounts]
        done, pending = await asyncio.wait(waiting, timeout=3 * BRIEFLY)
        for each in pending:
            each.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return [each.exception() for each in done]

    refused = asyncio.run(crowd())
    assert len(refused) == 36
    assert all(isinstance(each, UnavailableError) for each in refused)


def test_a_closed_account_reserves_no_more_memory() -> None:
    memory = impatient()
    account = Account(memory, "a")
    account.close()
    account.reserve(10)
    assert memory.used == 0


def test_later_reservations_first_use_the_memory_that_is_set_aside() -> None:
    memory = impatient()
    account = Account(memory, "a")
    account.reserve(10, later=20)
    assert (account.size, account.total, memory.used) == (10, 30, 30)
    account.reserve(15)
    assert (account.size, account.total, memory.used) == (25, 30, 30)
    account.reserve(15)
    assert (account.size, account.total, memory.used) == (40, 40, 40)


def test_no_more_memory_is_set_aside_than_one_request_may_have() -> None:
    memory = impatient()
    account = Account(memory, "a")
    account.reserve(10, later=1000)
    account.reserve(40)
    assert account.total == 50
    with pytest.raises(InvalidRequestError):
        account.reserve(1)


def test_memory_that_is_set_aside_already_is_not_set_aside_again() -> None:
    account = Account(impatient(), "a")
    account.reserve(10, later=20)
    account.reserve(5, later=10)
    assert (account.size, account.total) == (15, 30)


def test_a_reservation_that_timed_out_keeps_the_memory_set_aside() -> None:
    memory = impatient()
    account = Account(memory, "a")
    account.reserve(10, later=10)
    Account(memory, "a").reserve(30)
    with pytest.raises(UnavailableError):
        account.reserve(15)
    account.reserve(10)
    assert account.total == 20


def test_requests_that_set_memory_aside_do_not_wait_for_each_other() -> None:
    memory = RequestMemory(100, max_thread_wait=60, max_loop_wait=60)

    async def serve() -> None:
        account = Account(memory, "a")
        await account.reserve_async(20, later=20)
        await asyncio.sleep(0)
        await account.reserve_async(20)
        account.close()

    async def serve_all() -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(*[serve() for _ in range(10)])

    asyncio.run(serve_all())
    assert memory.used == 0


def test_memory_reserved_since_a_snapshot_is_released() -> None:
    memory = impatient()
    account = Account(memory, "a")
    account.reserve(10, later=10)
    before = account.snapshot()
    account.reserve(25)
    account.restore(before)
    assert (account.size, account.total, memory.used) == (10, 20, 20)
    token = current_memory.set(account)
    with temporary_memory():
        reserve_memory(30)
    assert (account.size, account.total) == (10, 20)
    release_set_aside()
    assert (account.size, account.total, memory.used) == (10, 10, 10)
    current_memory.reset(token)
