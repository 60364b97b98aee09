"""Rate limits in a real Redis are exact for all its clients; an unavailable Redis affects no request."""

import asyncio
import time
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from adapters.rate_limits.redis import RedisRateLimits
from domain.budgets import Budget
from domain.errors import ConfigurationError
from tests.support.hostile_server import HostileServer, redis_answering
from tests.support.redis_server import RedisServer
from tests.support.shared_limits import AMOUNTS, LONG, WINDOW, Counted, said, sharing, spend, until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server):
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def own_redis(tmp_path):
    with RedisServer(tmp_path) as running:
        yield running


def test_requests_within_the_budget_pass_with_the_remaining_budget(redis):
    async def told():
        async with sharing(redis) as limits:
            return [await spend(limits, budget=Budget.WRITES) for _ in range(3)]

    spent = asyncio.run(told())
    assert [(each.admitted, each.remaining) for each in spent] == [(True, 1), (True, 0), (False, 0)]
    assert {(each.limit, each.window) for each in spent} == {(2, timedelta(seconds=WINDOW))}
    assert timedelta(seconds=WINDOW - 20) < spent[-1].frees_in <= timedelta(seconds=WINDOW)


def test_several_requests_are_counted_together_or_not_at_all(redis):
    async def told():
        async with sharing(redis) as limits:
            amounts = (1, 30, 28, 2, 1, 31)
            return [await spend(limits, amount=amount) for amount in amounts]

    spent = asyncio.run(told())
    assert [(each.admitted, each.remaining) for each in spent] == [
        (True, 29),
        (False, 29),
        (True, 1),
        (False, 1),
        (True, 0),
        (False, 0),
    ]
    # With the request that asks for them, 30 are one more than the limit; two and one more can be waited for.
    assert [each.retry_in is None for each in spent] == [True, True, True, False, True, True]
    assert timedelta(seconds=WINDOW - 20) < spent[3].retry_in <= timedelta(seconds=WINDOW)


def test_more_requests_than_the_limit_are_refused_even_if_none_was_spent(redis):
    async def told():
        async with sharing(redis) as limits:
            return await spend(limits, amount=31)

    spent = asyncio.run(told())
    assert (spent.admitted, spent.remaining, spent.frees_in, spent.retry_in) == (False, 30, timedelta(0), None)


def test_several_requests_are_admitted_after_the_reported_wait(redis):
    async def waiting():
        async with sharing(redis, window=2) as limits:
            await spend(limits)
            await asyncio.sleep(0.5)
            await spend(limits, amount=28)
            refused = await spend(limits, amount=1 + 1)
            await asyncio.sleep(refused.retry_in.total_seconds())
            return refused, await spend(limits), await spend(limits, amount=2)

    refused, again, rest = asyncio.run(waiting())
    assert not refused.admitted
    assert (again.admitted, rest.admitted) == (True, True)


def test_all_clients_of_a_store_share_the_budget(redis):
    async def admitted():
        async with sharing(redis) as one, sharing(redis) as other:
            spent = await asyncio.gather(*(spend(limits) for limits in (one, other) for _ in range(100)))
        return sum(each.admitted for each in spent), sorted(each.remaining for each in spent if each.admitted)

    assert asyncio.run(admitted()) == (30, list(range(30)))


def test_a_request_is_admitted_after_the_reported_wait_and_not_before(redis):
    async def waiting():
        async with sharing(redis, window=2) as limits:
            await spend(limits, budget=Budget.WRITES)
            await asyncio.sleep(0.5)
            await spend(limits, budget=Budget.WRITES)
            refused = await spend(limits, budget=Budget.WRITES)
            await asyncio.sleep(refused.frees_in.total_seconds())
            return refused, await spend(limits, budget=Budget.WRITES)

    refused, admitted = asyncio.run(waiting())
    assert not refused.admitted
    assert admitted.admitted
    assert admitted.remaining <= 1


def test_requests_outside_the_window_are_removed_and_those_inside_count(redis):
    """The store has requests of all ages, as after the window has moved."""

    async def told(key, ages):
        async with sharing(redis) as limits:
            await spend(limits)
            with redis.client() as client:
                seconds, microseconds = client.time()
                now = seconds * 1_000_000 + microseconds
                client.delete(key)
                client.rpush(key, *(now - int(age * 1_000_000) for age in ages))
                spent = await spend(limits)
                return spent.remaining, client.llen(key)

    with redis.client() as client:
        asyncio.run(told("unused", [1]))
        (key,) = (each for each in client.keys("image-builder:*") if "reads" in each)
    for inside in (0, 1, 7, 19):
        ages = [10] * inside + [WINDOW + 1 + number for number in range(25)]
        assert asyncio.run(told(key, ages)) == (30 - inside - 1, inside + 1)


def test_no_data_are_stored_longer_than_the_window(redis):
    async def once():
        async with sharing(redis) as limits:
            await spend(limits)

    asyncio.run(once())
    with redis.client() as client:
        assert [0 < client.pttl(key) <= WINDOW * 1000 for key in client.scan_iter()] == [True]


def test_requests_pass_with_a_killed_store_and_are_counted_as_uncounted(own_redis):
    async def passing():
        metrics = Counted()
        async with sharing(own_redis, metrics=metrics) as limits:
            assert (await spend(limits)).admitted
            own_redis.kill()
            return [await spend(limits) for _ in range(50)], metrics.away

    assert asyncio.run(passing()) == ([None] * 50, 50)


def test_only_the_first_requests_wait_for_a_hanging_store(own_redis):
    async def passing():
        metrics = Counted()
        async with sharing(own_redis, metrics=metrics) as limits:
            await spend(limits)
        async with sharing(own_redis, metrics=metrics, patience=0.3) as limits:
            own_redis.hold()
            began = time.monotonic()
            together = await asyncio.gather(*(spend(limits) for _ in range(50)))
            one_by_one = [await spend(limits) for _ in range(500)]
            own_redis.let_go()
            return {*together, *one_by_one}, metrics.away, time.monotonic() - began

    answers, away, seconds = asyncio.run(passing())
    assert answers == {None}
    assert away == 550
    assert seconds < 60  # 150, had each of them waited


@pytest.mark.parametrize("trouble", ["killed", "held"])
def test_a_store_that_is_available_again_counts_again(own_redis, trouble):
    async def counting():
        async with sharing(own_redis, patience=0.3) as limits:
            (own_redis.kill if trouble == "killed" else own_redis.hold)()
            assert await spend(limits) is None
            (own_redis.start if trouble == "killed" else own_redis.let_go)()
            return await until(limits, lambda spent: spent is not None)

    assert asyncio.run(counting()).limit == 30


def test_the_log_says_once_that_the_store_is_unavailable_and_once_that_it_is_available(own_redis):
    async def going_and_coming(lines):
        async with sharing(own_redis, patience=0.3) as limits:
            own_redis.kill()
            await asyncio.gather(*(spend(limits) for _ in range(20)))
            await said(lines)
            own_redis.start()
            await until(limits, lambda spent: spent is not None)

    with capture_logs() as lines:
        asyncio.run(going_and_coming(lines))
    assert [line["event"] for line in lines] == [
        "rate limit store unavailable: requests are not limited",
        "rate limit store available again",
    ]


def test_a_store_that_always_answers_late_delays_no_further_requests_until_it_is_fast_again():
    late = True

    def answering(connection, ending):
        while connection.recv(65536):
            ending.wait(0.5 if late else 0)
            connection.sendall(b"*4\r\n:1\r\n:5\r\n:100\r\n:-1\r\n")

    async def passing(server, lines):
        nonlocal late
        limits = RedisRateLimits(f"redis://127.0.0.1:{server.port}", AMOUNTS, WINDOW, Counted(), patience=0.2)
        try:
            assert await spend(limits) is None
            await said(lines)
            asked = len(server.accepted)
            for _ in range(1000):
                assert await spend(limits) is None
            by_requests = len(server.accepted) - asked
            late = False
            return by_requests, await until(limits, lambda spent: spent is not None)
        finally:
            await limits.aclose()

    with capture_logs() as lines, HostileServer(answering) as server:
        by_requests, spent = asyncio.run(passing(server, lines))
    assert by_requests == 0
    assert spent.remaining == 5
    assert [line["event"] for line in lines][:2] == [
        "rate limit store unavailable: requests are not limited",
        "rate limit store available again",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"+OK",
        b"*-1",
        b"*2\r\n:1\r\n:1",
        b"*4\r\n:1\r\n+5\r\n:9\r\n:-1",
        b"*4\r\n:2\r\n:1\r\n:1\r\n:-1",
        b"$5000\r\n" + b"a" * 5000,
    ],
)
def test_a_store_with_an_invalid_answer_counts_as_unavailable(answer):
    async def passing(server):
        limits = RedisRateLimits(f"redis://127.0.0.1:{server.port}", AMOUNTS, WINDOW, Counted(), patience=LONG)
        try:
            return await spend(limits)
        finally:
            await limits.aclose()

    with HostileServer(redis_answering(answer + b"\r\n")) as server:
        assert asyncio.run(passing(server)) is None


def test_numbers_out_of_range_are_corrected():
    async def counting(server):
        limits = RedisRateLimits(f"redis://127.0.0.1:{server.port}", AMOUNTS, WINDOW, Counted(), patience=LONG)
        try:
            return await spend(limits)
        finally:
            await limits.aclose()

    # As where another process with a higher limit counts in the same window, and a clock was set back.
    with HostileServer(redis_answering(b"*4\r\n:0\r\n:-7\r\n:99999999999999\r\n:-1\r\n")) as server:
        spent = asyncio.run(counting(server))
    assert (spent.admitted, spent.remaining, spent.frees_in) == (False, 0, timedelta(seconds=WINDOW))


def test_a_store_that_answers_but_cannot_count_is_unavailable(redis):
    async def passing():
        metrics = Counted()
        async with sharing(redis, metrics=metrics) as limits:
            with redis.client() as client:
                client.config_set("maxmemory", "1")
                try:
                    return [await spend(limits) for _ in range(3)], metrics.away
                finally:
                    client.config_set("maxmemory", "0")

    assert asyncio.run(passing()) == ([None] * 3, 3)


def test_a_single_failure_is_not_logged(redis):
    async def one_failure():
        metrics = Counted()
        async with sharing(redis, metrics=metrics) as limits:
            with redis.client() as client:
                client.config_set("maxmemory", "1")
                await spend(limits)
                client.config_set("maxmemory", "0")
            await until(limits, lambda spent: spent is not None)
        return metrics.away

    with capture_logs() as lines:
        assert asyncio.run(one_failure()) >= 1
    assert lines == []


def test_a_connection_that_the_store_closed_is_opened_again(redis):
    async def asking():
        async with sharing(redis) as limits:
            await spend(limits)
            with redis.client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.1)
            return await spend(limits)

    assert asyncio.run(asking()).remaining == 28


def test_the_script_is_sent_again_if_the_store_has_lost_it(redis):
    async def asking():
        async with sharing(redis) as limits:
            await spend(limits)
            with redis.client() as client:
                client.script_flush()
            return await spend(limits)

    assert asyncio.run(asking()).remaining == 28


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_redis_and_valkey_urls_with_a_password_are_supported(tmp_path, scheme):
    async def asking(url):
        limits = RedisRateLimits(url.replace("redis", scheme, 1), AMOUNTS, WINDOW, Counted(), patience=LONG)
        try:
            return await spend(limits)
        finally:
            await limits.aclose()

    with RedisServer(tmp_path, password="S3cret") as server:
        assert asyncio.run(asking(server.url)).admitted


def test_with_a_wrong_password_requests_pass(tmp_path):
    async def asking(url, lines):
        limits = RedisRateLimits(url, AMOUNTS, WINDOW, Counted(), patience=LONG)
        try:
            spent = await spend(limits)
            await said(lines)
            return spent
        finally:
            await limits.aclose()

    with RedisServer(tmp_path, password="S3cret") as server, capture_logs() as lines:
        assert asyncio.run(asking(server.url.replace("S3cret", "Wr0ng"), lines)) is None
    assert "Wr0ng" not in str(lines)


@pytest.mark.parametrize("url", ["redis://:S3cret@store:port", "redis://:S3cret@store/0?no_such=1", "redis://["])
def test_the_error_about_an_invalid_url_does_not_contain_its_password(url):
    with pytest.raises(ConfigurationError, match="RATE_LIMIT_STORAGE_URL") as refused:
        RedisRateLimits(url, AMOUNTS, WINDOW, Counted())
    assert "S3cret" not in str(refused.value)
