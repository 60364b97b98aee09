"""Quotas and what they leave."""

from datetime import datetime, timedelta

import pytest

from domain.errors import ConfigurationError, ForbiddenError
from domain.quota import Quota, QuotaTable, Usage

TWO_WEEKS = Quota(100, timedelta(days=14))
OWN = Quota(1, timedelta(hours=1))
NOON = datetime(2026, 1, 31, 12)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("quota", "text"),
    [
        (TWO_WEEKS, "Quota of 100 builds per 14 days exceeded for user"),
        (Quota(0, timedelta(days=1)), "Quota of 0 builds per 1 days exceeded for user"),
        (Quota(5, timedelta(hours=36)), "Quota of 5 builds per 1 days exceeded for user"),
        (Quota(5, timedelta(hours=23, minutes=59)), "Quota of 5 builds per 0 days exceeded for user"),
    ],
)
def test_the_refusal_names_the_limit_and_whole_days(quota, text):
    error = quota.exceeded_error(Usage(NOON, quota.limit, None))
    assert isinstance(error, ForbiddenError)
    assert error.detail == text


@pytest.mark.parametrize(
    ("tenant", "quota"), [("000001", OWN), ("000002", TWO_WEEKS), ("", TWO_WEEKS), ("default", TWO_WEEKS)]
)
def test_a_tenant_has_its_own_quota_or_else_the_default_one(tenant, quota):
    assert QuotaTable({"000001": OWN}, TWO_WEEKS).get(tenant) == quota


def test_without_a_default_a_tenant_without_an_entry_is_a_configuration_error():
    with pytest.raises(ConfigurationError):
        QuotaTable({"000001": OWN}, None).get("000002")


def test_without_a_default_a_tenant_with_an_entry_has_it():
    assert QuotaTable({"000001": OWN}, None).get("000001") == OWN


@pytest.mark.parametrize(
    ("limit", "used", "earliest", "remaining", "frees_in", "next_free_at"),
    [
        (3, 0, None, 3, None, None),
        (3, 1, NOON - HOUR, 2, 2 * HOUR, None),
        (3, 3, NOON - HOUR, 0, 2 * HOUR, NOON + 2 * HOUR),
        (3, 3, NOON, 0, 3 * HOUR, NOON + 3 * HOUR),
        (0, 0, None, 0, None, None),
    ],
)
def test_the_allowance_says_what_is_left_and_when_the_next_build_is_possible(
    limit, used, earliest, remaining, frees_in, next_free_at
):
    allowance = Quota(limit, 3 * HOUR).allowance(Usage(NOON, used, earliest))
    assert (allowance.remaining, allowance.frees_in, allowance.next_free_at) == (remaining, frees_in, next_free_at)


def test_the_time_to_wait_is_never_negative():
    usage = Usage(NOON, 1, NOON - HOUR - timedelta(microseconds=1))
    assert Quota(1, HOUR).allowance(usage).frees_in == timedelta(0)


def test_the_refusal_has_the_allowance():
    usage = Usage(NOON, 2, NOON)
    assert Quota(3, HOUR).exceeded_error(usage).allowance == Quota(3, HOUR).allowance(usage)
