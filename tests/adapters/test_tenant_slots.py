"""Requests of one tenant do not occupy all connections (adapters.postgres.tenant_slots)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.postgres.tenant_slots import TenantSlots
from domain.errors import UnavailableError


def test_a_further_thread_of_a_tenant_is_refused_after_its_wait_and_one_of_another_tenant_is_not() -> None:
    slots = TenantSlots(2, 0.05)
    with slots.slot("a"), slots.slot("a"):
        with pytest.raises(UnavailableError), slots.slot("a"):
            pass
        with slots.slot("b"):
            pass
    with slots.slot("a"):
        pass


def test_a_waiting_thread_gets_the_slot_that_becomes_free() -> None:
    slots = TenantSlots(1, 20.0)
    done = []

    def work(number: int) -> None:
        with slots.slot("a"):
            done.append(number)

    with ThreadPoolExecutor(8) as callers:
        list(callers.map(work, range(100)))
    assert sorted(done) == list(range(100))


def test_an_error_frees_the_slot_and_idle_tenants_are_removed() -> None:
    slots = TenantSlots(1, 0.05)
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), slots.slot("a"):
            raise ValueError("no")
    assert slots._tenants == {}
