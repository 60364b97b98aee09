"""The circuit breaker: after several failed calls a back-end gets only trial calls for a while."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Barrier

import pytest

from adapters.http.breaker import Breaker
from adapters.http.client import BackEnd, NoAnswerError, Timeouts
from tests.support.loopback import Loopback, answer, hang
from tests.support.waiting import PATIENCE, until

SHORT = Timeouts(connect=1.0, read=0.1)
LONG = Timeouts(connect=PATIENCE, read=PATIENCE)


@pytest.fixture
def breaker(clock):
    return Breaker(failures=3, seconds=10.0, clock=clock)


@contextmanager
def a_back_end(url, breaker=None, connections=60):
    back_end = BackEnd("composer", url, connections=connections, breaker=breaker)
    try:
        yield back_end
    finally:
        back_end.close()


def fail(breaker, times):
    for _ in range(times):
        assert breaker.allows_call()
        breaker.record_failure()


def test_the_breaker_admits_calls_until_enough_have_failed_in_succession(breaker):
    fail(breaker, 2)
    assert breaker.allows_call()
    assert not breaker.is_open


def test_the_breaker_turns_calls_away_after_enough_have_failed_in_succession(breaker):
    fail(breaker, 3)
    assert breaker.is_open
    assert not breaker.allows_call()


def test_an_answer_resets_the_count_of_failures(breaker):
    fail(breaker, 2)
    breaker.record_answer()
    fail(breaker, 2)
    assert breaker.allows_call()


def test_the_breaker_stays_open_for_its_configured_time(breaker, clock):
    fail(breaker, 3)
    clock.now += 9.99
    assert not breaker.allows_call()


def test_after_its_time_the_breaker_admits_one_trial_call(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    assert [breaker.allows_call() for _ in range(5)] == [True, False, False, False, False]


def test_only_one_of_many_threads_makes_the_trial_call(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    together = Barrier(20)

    def ask(_):
        together.wait()
        return breaker.allows_call()

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(ask, range(20))) == 1


def test_an_answer_to_the_trial_call_closes_the_breaker(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    assert breaker.allows_call()
    breaker.record_answer()
    assert not breaker.is_open
    assert all(breaker.allows_call() for _ in range(5))


def test_the_breaker_stays_open_until_an_answer_even_if_calls_are_rare(breaker, clock):
    fail(breaker, 3)
    clock.now += 3600
    assert breaker.is_open
    fail(breaker, 1)
    clock.now += 3600
    assert breaker.is_open


def test_a_failed_trial_call_opens_the_breaker_again(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    fail(breaker, 1)
    clock.now += 9.99
    assert not breaker.allows_call()
    clock.now += 0.01
    assert breaker.allows_call()


def test_a_trial_call_without_a_reported_outcome_is_followed_by_another_one(breaker, clock):
    fail(breaker, 3)
    for _ in range(3):
        clock.now += 9.99
        assert not breaker.allows_call()
        clock.now += 0.01
        assert breaker.allows_call()
        assert not breaker.allows_call()


def test_an_open_breaker_sends_no_calls_to_the_back_end(breaker):
    with Loopback(hang) as server, a_back_end(server.url, breaker) as back_end:
        for _ in range(3):
            with pytest.raises(NoAnswerError):
                back_end.post_once("/x", {}, SHORT)
        until(lambda: len(server.asked) == 3, "the server has read all calls")
        with pytest.raises(NoAnswerError) as refused:
            back_end.post_once("/x", {}, SHORT)
    assert len(server.asked) == 3
    assert not refused.value.sent


def test_a_back_end_that_answers_again_gets_calls_again(breaker, clock):
    with Loopback(hang, hang, hang, answer(200)) as server, a_back_end(server.url, breaker) as back_end:
        for _ in range(3):
            with pytest.raises(NoAnswerError):
                back_end.post_once("/x", {}, SHORT)
        until(lambda: len(server.asked) == 3, "the server has read all calls")
        clock.now += 10
        assert [back_end.get("/x", LONG).status for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("status", [200, 201, 400, 404, 409, 429, 500])
def test_an_answer_of_the_back_end_itself_does_not_count_as_a_failure(breaker, status):
    with Loopback(answer(status)) as server, a_back_end(server.url, breaker) as back_end:
        assert [back_end.post_once("/x", {}, LONG).status for _ in range(5)] == [status] * 5


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_answer_of_a_gateway_counts_as_a_failure(breaker, status):
    with Loopback(answer(status)) as server, a_back_end(server.url, breaker) as back_end:
        for _ in range(3):
            with suppress(NoAnswerError):
                back_end.post_once("/x", {}, LONG)
    assert breaker.is_open


def test_fifty_calls_wait_concurrently():
    together = Barrier(50, timeout=PATIENCE)

    def answer_when_all_are_there(visit):
        together.wait()
        return answer(200)(visit)

    with (
        Loopback(answer_when_all_are_there) as server,
        a_back_end(server.url) as back_end,
        ThreadPoolExecutor(50) as threads,
    ):
        assert list(threads.map(lambda _: back_end.post_once("/x", {}, LONG).status, range(50))) == [200] * 50


def test_each_back_end_has_a_separate_breaker():
    with Loopback(answer(200)) as server, a_back_end(server.url) as here, a_back_end(server.url) as there:
        for _ in range(50):
            here.breaker.record_failure()
        assert there.get("/x", LONG).status == 200
        with pytest.raises(NoAnswerError):
            here.get("/x", LONG)
