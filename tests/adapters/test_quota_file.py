"""The quota file."""

import json
import os
from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from adapters.files.quotas import FileQuotas, UnlimitedQuotas, load_quotas
from domain.errors import ConfigurationError
from domain.quota import Quota

DAY = 24 * 60 * 60 * 10**9


def entry(quota=100, days=14, **more):
    return {"quota": quota, "slidingWindow": days * DAY, **more}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class File:
    """The quota file of one test."""

    def __init__(self, path):
        self.path = path
        self.clock = Clock()
        self.written = 0

    def holds(self, document):
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.path.write_bytes(text)
        self.written += 1
        os.utime(self.path, ns=(self.written, self.written * 10**9))

    def quotas(self):
        return FileQuotas(self.path, clock=self.clock)

    def load(self):
        return load_quotas(self.path)


@pytest.fixture
def file(tmp_path):
    return File(tmp_path / "quotas.json")


@pytest.fixture
def logged():
    structlog.reset_defaults()
    with capture_logs() as entries:
        yield entries


def levels(logged):
    return [each["log_level"] for each in logged]


def test_a_tenant_has_its_entry_and_all_others_have_the_default(file):
    file.holds({"000001": entry(5, 1), "default": entry(100, 14)})
    quotas = file.quotas()
    assert quotas.get("000001") == Quota(5, timedelta(days=1))
    assert quotas.get("000002") == Quota(100, timedelta(days=14))


def test_a_quota_of_zero_is_valid(file):
    file.holds({"default": entry(0)})
    assert file.quotas().get("000001").limit == 0


@pytest.mark.parametrize(
    ("nanoseconds", "window"),
    [(DAY, timedelta(days=1)), (10**9, timedelta(seconds=1)), (1_209_600_000_000_000, timedelta(days=14))],
)
def test_a_window_is_in_nanoseconds(file, nanoseconds, window):
    file.holds({"default": {"quota": 1, "slidingWindow": nanoseconds}})
    assert file.load().default == Quota(1, window)


def test_unknown_keys_are_ignored(file):
    file.holds({"default": entry(comment="ours")})
    assert file.load().default == Quota(100, timedelta(days=14))


def test_without_a_file_builds_are_unlimited():
    assert UnlimitedQuotas().get("000001") is None


def test_a_missing_file_stops_the_start(file):
    with pytest.raises(ConfigurationError) as broken:
        file.quotas()
    assert str(file.path) in broken.value.detail


def test_a_folder_in_place_of_the_file_stops_the_start(file):
    file.path.mkdir()
    with pytest.raises(ConfigurationError) as broken:
        file.quotas()
    assert str(file.path) in broken.value.detail


@pytest.mark.parametrize("text", [b"", b"{", b"not json", b"\xff\xfe", b"null", b"[]", b'"text"', b"5"])
def test_a_file_that_is_not_a_json_object_stops_the_start(file, text):
    file.holds(text)
    with pytest.raises(ConfigurationError) as broken:
        file.quotas()
    assert str(file.path) in broken.value.detail


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        5,
        "text",
        [],
        {},
        {"quota": 5},
        {"slidingWindow": DAY},
        entry(quota="5"),
        entry(quota=1.5),
        entry(quota=True),
        entry(quota=None),
        entry(quota=-1),
        {"quota": 5, "slidingWindow": "14d"},
        {"quota": 5, "slidingWindow": 1.5},
        {"quota": 5, "slidingWindow": None},
        {"quota": 5, "slidingWindow": -DAY},
        {"quota": 5, "slidingWindow": 0},
        {"quota": 5, "slidingWindow": 10**30},
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["000007", "default"])
def test_an_invalid_entry_stops_the_start_and_is_named(file, name, wrong):
    file.holds({"000001": entry(), name: wrong})
    with pytest.raises(ConfigurationError) as broken:
        file.quotas()
    assert str(file.path) in broken.value.detail
    assert name in broken.value.detail


def test_a_file_without_a_default_gives_one_warning(file, logged):
    file.holds({"000001": entry()})
    quotas = file.quotas()
    for _ in range(3):
        quotas.get("000001")
    assert levels(logged) == ["warning"]


def test_without_a_default_an_organization_without_an_entry_cannot_build(file):
    file.holds({"000001": entry()})
    with pytest.raises(ConfigurationError):
        file.quotas().get("000002")


def test_a_file_with_a_default_gives_no_warning(file, logged):
    file.holds({"default": entry()})
    file.quotas().get("000001")
    assert logged == []


def test_a_changed_file_is_loaded(file):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    file.holds({"default": entry(2)})
    file.clock.now += 5
    assert quotas.get("000001").limit == 2


def test_a_file_of_the_same_length_behind_a_switched_link_is_loaded(file, tmp_path):
    """This is how a mounted config map changes."""
    for number in (1, 2):
        (tmp_path / f"version-{number}").write_text(json.dumps({"default": entry(number)}))
        os.utime(tmp_path / f"version-{number}", ns=(10**9, 10**9))
    file.path.symlink_to("version-1")
    quotas = file.quotas()
    file.path.unlink()
    file.path.symlink_to("version-2")
    file.clock.now += 5
    assert quotas.get("000001").limit == 2


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b'{"default": {"quota": -1, "slidingWindow": 1}}'])
def test_an_invalid_change_keeps_the_previous_quotas(file, logged, bad):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    file.holds(bad)
    file.clock.now += 5
    assert quotas.get("000001").limit == 1
    assert levels(logged) == ["error"]


def test_a_removed_file_keeps_the_previous_quotas(file, logged):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    file.path.unlink()
    file.clock.now += 5
    assert quotas.get("000001").limit == 1
    assert levels(logged) == ["error"]


def test_an_invalid_change_is_logged_once(file, logged):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    file.holds(b"{")
    for _ in range(3):
        file.clock.now += 5
        quotas.get("000001")
    assert levels(logged) == ["error"]


def test_a_valid_change_after_an_invalid_one_is_loaded(file):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    for content in (b"{", {"default": entry(3)}):
        file.holds(content)
        file.clock.now += 5
        quotas.get("000001")
    assert quotas.get("000001").limit == 3


def test_the_file_is_not_checked_for_every_build(file):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    file.holds({"default": entry(2)})
    assert quotas.get("000001").limit == 1


def test_a_change_that_removes_the_default_is_loaded(file):
    file.holds({"default": entry(1)})
    quotas = file.quotas()
    file.holds({"000001": entry(2)})
    file.clock.now += 5
    assert quotas.get("000001").limit == 2
    with pytest.raises(ConfigurationError):
        quotas.get("000002")
