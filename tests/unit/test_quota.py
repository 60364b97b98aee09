"""How much a tenant may build (spec 10, Quota)."""

from datetime import timedelta

import pytest

from domain.errors import ConfigurationError, ForbiddenError
from domain.quota import Quota, QuotaTable

TWO_WEEKS = Quota(100, timedelta(days=14))
OWN = Quota(1, timedelta(hours=1))


@pytest.mark.parametrize(
    ("quota", "text"),
    [
        (TWO_WEEKS, "Quota of 100 builds per 14 days exceeded for user"),
        (Quota(0, timedelta(days=1)), "Quota of 0 builds per 1 days exceeded for user"),
        (Quota(5, timedelta(hours=36)), "Quota of 5 builds per 1 days exceeded for user"),
        (Quota(5, timedelta(hours=23, minutes=59)), "Quota of 5 builds per 0 days exceeded for user"),
    ],
)
def test_the_refusal_tells_builds_and_whole_days(quota, text):
    error = quota.exceeded()
    assert isinstance(error, ForbiddenError)
    assert error.detail == text


@pytest.mark.parametrize(
    ("tenant", "quota"), [("000001", OWN), ("000002", TWO_WEEKS), ("", TWO_WEEKS), ("default", TWO_WEEKS)]
)
def test_a_tenant_has_its_own_quota_or_else_the_default_one(tenant, quota):
    assert QuotaTable({"000001": OWN}, TWO_WEEKS).of(tenant) == quota


def test_without_a_default_a_tenant_without_an_entry_is_the_operators_mistake():
    with pytest.raises(ConfigurationError):
        QuotaTable({"000001": OWN}, None).of("000002")


def test_without_a_default_a_tenant_with_an_entry_has_it():
    assert QuotaTable({"000001": OWN}, None).of("000001") == OWN
