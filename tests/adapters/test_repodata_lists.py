import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.files.file_transaction import FileTransaction
from adapters.repodata.lists import format_package_list
from adapters.repodata.primary import Package
from domain.errors import ConfigurationError
from tests.support.service import PROJECT
from tests.support.waiting import PATIENCE

NEW = [Package("alpha", "Größe \u2028 & \n"), Package("zsh", "")]


@pytest.fixture
def old(tmp_path):
    paths = [tmp_path / f"test-9-x86_64-{name}-packages.json" for name in ("baseos", "appstream")]
    for path in paths:
        path.write_text("[]")
    return paths


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_list_is_an_array_of_name_and_summary(tmp_path, old):
    with FileTransaction(tmp_path) as lists:
        lists.add(old[0], format_package_list(NEW))
        lists.commit()
    assert json.loads(old[0].read_text()) == [
        {"name": "alpha", "summary": "Größe \u2028 & \n"},
        {"name": "zsh", "summary": ""},
    ]
    assert len(old[0].read_text().splitlines()) == 4 + 1  # brackets, packages; U+2028 is Python's alone


def test_a_list_without_packages_is_an_empty_array(tmp_path, old):
    with FileTransaction(tmp_path) as lists:
        lists.add(old[0], format_package_list([]))
        lists.commit()
    assert json.loads(old[0].read_text()) == []


def test_no_file_changes_before_the_commit(tmp_path, old):
    with FileTransaction(tmp_path) as lists:
        for path in old:
            lists.add(path, format_package_list(NEW))
        assert [path.read_text() for path in old] == ["[]", "[]"]
        assert lists.commit() == 2
    assert all(json.loads(path.read_text()) for path in old)


def test_uncommitted_files_are_removed(tmp_path, old):
    before = content(tmp_path)

    def interrupted():
        with FileTransaction(tmp_path) as lists:
            lists.add(old[0], format_package_list(NEW))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert content(tmp_path) == before


def test_a_file_that_cannot_be_replaced_keeps_all_files_unchanged(tmp_path, old):
    old[1].unlink()
    old[1].mkdir()
    with FileTransaction(tmp_path) as lists:
        lists.add(old[0], format_package_list(NEW))
        with pytest.raises(ConfigurationError, match=r"appstream-packages\.json: is a directory"):
            lists.add(old[1], format_package_list(NEW))
    assert old[0].read_text() == "[]"


def test_the_error_about_a_missing_folder_names_it(tmp_path):
    with pytest.raises(ConfigurationError, match="gone: No such file"), FileTransaction(tmp_path / "gone"):
        pass


def test_a_replaced_list_keeps_its_mode_and_a_new_one_is_readable_for_all_users(tmp_path, old):
    old[0].chmod(0o640)
    old[1].unlink()
    before = os.umask(0o022)
    try:
        with FileTransaction(tmp_path) as lists:
            for path in old:
                lists.add(path, format_package_list(NEW))
            lists.commit()
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in old] == [0o640, 0o644]


def test_concurrent_refreshes_of_one_distribution_do_not_mix(tmp_path, old):
    with FileTransaction(tmp_path) as lists:
        lists.add(old[0], format_package_list(NEW))
        with pytest.raises(ConfigurationError, match="being refreshed by another process"), FileTransaction(tmp_path):
            pass
        lists.commit()
    with FileTransaction(tmp_path):  # and the next one may
        pass


CRASH = """
import os, sys
from pathlib import Path
from adapters.files.file_transaction import FileTransaction
from adapters.repodata.lists import format_package_list
from adapters.repodata.primary import Package

replace = Path.replace
def once(self, target):
    replace(self, target)
    os.kill(os.getpid(), 9)
Path.replace = once

with FileTransaction(Path(sys.argv[1])) as lists:
    for path in sys.argv[2:]:
        lists.add(Path(path), format_package_list([Package("alpha", "A")] * 1000))
    lists.commit()
"""


def test_a_crash_between_two_files_leaves_complete_files_and_the_next_refresh_cleans_up(tmp_path, old):
    command = [sys.executable, "-c", CRASH, str(tmp_path), *map(str, old)]
    crashed = subprocess.run(command, check=False, cwd=PROJECT, timeout=PATIENCE)
    assert crashed.returncode == -9
    assert [len(json.loads(path.read_text())) for path in old] == [1000, 0]
    with FileTransaction(tmp_path) as lists:
        for path in old:
            lists.add(path, format_package_list(NEW))
        lists.commit()
    assert set(tmp_path.iterdir()) == set(old)


def test_if_a_later_file_cannot_be_replaced_the_earlier_ones_are_restored(tmp_path, monkeypatch):
    old = {tmp_path / name: name.encode() for name in ("a", "b", "c")}
    for path, content in old.items():
        path.write_bytes(content)
    replace = Path.replace

    def failing_at_the_second(self, target):
        if self.name == ".b.new":
            raise PermissionError(13, "Permission denied", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing_at_the_second)
    with FileTransaction(tmp_path) as files:
        for path in (*old, tmp_path / "folder" / "d"):
            files.add(path, [b"new"])
        with pytest.raises(ConfigurationError, match=f"{tmp_path}/b: Permission denied"):
            files.commit()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    target, link = tmp_path / "target", tmp_path / "folder" / "link"
    target.write_bytes(b"old")
    link.parent.mkdir()
    link.symlink_to(target)
    with FileTransaction(tmp_path) as files:
        files.add(link, [b"new"])
        files.commit()
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "target"]
