"""What the environment says of rate limits."""

import pytest

from domain.budgets import Budget
from domain.errors import ConfigurationError
from image_builder.configuration.settings import load_settings


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPOSER_URL", "http://composer.example.com")
    return monkeypatch.setenv


def test_without_a_word_the_limits_are_far_above_what_the_console_asks_for(environment):
    limits = load_settings().rate_limits
    assert (limits.window, limits.storage_url) == (60, "")
    rows, seconds_between_polls, tabs = 100, 8, 4
    assert limits.amounts[Budget.READS] >= 2 * tabs * rows * limits.window / seconds_between_polls
    assert limits.amounts[Budget.WRITES] >= limits.amounts[Budget.BUILD_REQUESTS] >= limits.window


@pytest.mark.parametrize("word", ["false", "0", "F"])
def test_they_can_be_switched_off(environment, word):
    environment("RATE_LIMITS", word)
    assert not load_settings().rate_limits.enabled


@pytest.mark.parametrize("url", ["redis://store", "rediss://:pass@store:6380/1", "valkey://store", "valkeys://store"])
def test_a_store_is_a_redis_or_a_valkey(environment, url):
    environment("RATE_LIMIT_STORAGE_URL", url)
    limits = load_settings().rate_limits
    assert limits.storage_url == url
    assert "pass" not in repr(limits)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMITS", "maybe"),
        ("RATE_LIMIT_READS", "0"),
        ("RATE_LIMIT_WRITES", "many"),
        ("RATE_LIMIT_BUILDS", "-1"),
        ("RATE_LIMIT_WINDOW", "0"),
        ("RATE_LIMIT_STORAGE_URL", "http://:S3cret@store"),
        ("RATE_LIMIT_STORAGE_URL", ":S3cret@store"),
        ("RATE_LIMIT_STORAGE_TIMEOUT", "0"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_password_shown(environment, name, value):
    environment(name, value)
    with pytest.raises(ConfigurationError, match=name) as refused:
        load_settings()
    assert "S3cret" not in str(refused.value)
