"""Passwords are hashed few at a time (image_builder.usecases.passwords)."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.compose.passwords import SaltedPassword
from domain.errors import UnavailableError
from image_builder.fair_threads import FairThreads
from image_builder.usecases.passwords import HashPasswords, salt_passwords
from ports.deadline import until
from tests.support.waiting import PATIENCE


class Hasher:
    """Takes its time, and notes how many hash at once, of one organization and in all."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, password: str, salt: str) -> str:
        organization = password[0]
        for change in (1, -1):
            with self._lock:
                self._running[organization] += change
                self.most["in all"] = max(self.most["in all"], self._running.total())
                self.most[organization] = max(self.most[organization], self._running[organization])
            time.sleep(0.005)
        return f"{salt}-{password}"


@pytest.fixture
def threads() -> Iterator[FairThreads]:
    with FairThreads(2, "hash") as running:
        yield running


def test_each_password_gets_its_hash(threads: FairThreads) -> None:
    hash_passwords = HashPasswords(Hasher(), threads)
    hashes = hash_passwords("a", {3: SaltedPassword("a3", "salt"), 1: SaltedPassword("a1", "other")})
    assert hashes == {3: "salt-a3", 1: "other-a1"}
    assert hash_passwords("a", {}) == {}


def test_one_organization_hashes_one_at_a_time_and_all_of_them_two(threads: FairThreads) -> None:
    hasher = Hasher()
    hash_passwords = HashPasswords(hasher, threads)
    with ThreadPoolExecutor(9) as callers:
        for calling in [
            callers.submit(hash_passwords, organization, salt_passwords(dict.fromkeys(range(10), organization)))
            for organization in "aaabbbccc"
        ]:
            assert len(calling.result()) == 10
    assert hasher.most == {"in all": 2, "a": 1, "b": 1, "c": 1}


def test_past_the_deadline_it_is_given_up_and_what_waits_is_not_hashed(threads: FairThreads) -> None:
    hashed = []
    past_the_deadline = threading.Event()

    def slow(password: str, _salt: str) -> str:
        hashed.append(password)
        past_the_deadline.wait(PATIENCE)
        return ""

    with pytest.raises(UnavailableError), until(0.05):
        HashPasswords(slow, threads)("a", salt_passwords(dict.fromkeys(range(50), "x")))
    past_the_deadline.set()
    # The thread of the organization would hash what waits before it makes this call.
    threads.submit("a", lambda: None).result(PATIENCE)
    assert len(hashed) <= 1


def test_every_salt_is_another_one_of_16_characters() -> None:
    salts = [password.salt for password in salt_passwords(dict.fromkeys(range(100), "x")).values()]
    assert len(set(salts)) == 100
    assert all(re.fullmatch(r"[./0-9A-Za-z]{16}", salt) for salt in salts)
