"""Processes that count for themselves share the budgets of rate limits."""

from __future__ import annotations

import pytest

from domain.blueprints.composing import MAX_IMAGES
from domain.budgets import Budget, share_budget


@pytest.mark.parametrize(("limit", "processes", "share"), [(6000, 1, 6000), (6000, 8, 750), (7, 2, 4), (1, 64, 1)])
def test_each_process_has_an_equal_share_rounded_up(limit: int, processes: int, share: int) -> None:
    assert share_budget(Budget.READS, limit, processes) == share
    assert share_budget(Budget.WRITES, limit, processes) == share


@pytest.mark.parametrize(
    ("limit", "share"), [(300, MAX_IMAGES), (MAX_IMAGES, MAX_IMAGES), (MAX_IMAGES - 1, 5), (800, 100)]
)
def test_a_share_of_builds_admits_the_largest_blueprint_if_the_limit_does(limit: int, share: int) -> None:
    assert share_budget(Budget.BUILD_REQUESTS, limit, 8) == share
