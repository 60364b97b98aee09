"""What a tenant's quota leaves."""

import pytest

from domain.errors import ConfigurationError, UnavailableError
from image_builder.usecases.quota import ShowQuota
from tests.support.starting import CALLER, QUOTA


@pytest.fixture
def tell(world):
    return ShowQuota(world.quotas, world.starts)


def test_started_builds_are_counted_and_nothing_is_reserved(world, tell):
    world()
    allowance = tell(CALLER)
    assert (allowance.limit, allowance.used, allowance.remaining) == (QUOTA.limit, 1, QUOTA.limit - 1)
    assert world.starts.reserved == {}
    assert world.quotas.asked == [CALLER.tenant, CALLER.tenant]


def test_the_builds_of_an_unlimited_tenant_are_not_counted(world, tell):
    world.quotas.quota = None
    assert tell(CALLER) is None
    assert world.starts.calls == []


@pytest.mark.parametrize("error", [ConfigurationError("No quota is defined"), UnavailableError("away")], ids=repr)
def test_errors_of_the_quota_and_the_database_are_passed_on(world, tell, error):
    world.quotas.quota = error
    with pytest.raises(type(error)):
        tell(CALLER)
