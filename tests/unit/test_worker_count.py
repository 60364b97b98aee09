"""The number of workers follows from the cores and the memory that the process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_builder.configuration.worker_count import WorkerCount, choose_worker_count

MIB = 1024 * 1024
V2 = "25 20 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "".join(
    f"{number} 20 0:{number} {{root}} /sys/fs/cgroup/{name} rw,nosuid - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("cpu,cpuacct", "memory", "pids"), start=30)
)


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(16)))


def tree(root: Path, membership: str, mounts: str, files: dict[str, str]) -> Path:
    """A folder with the control groups of this process; `files` are below /sys/fs/cgroup."""
    process = root / "proc" / "self"
    process.mkdir(parents=True)
    (process / "cgroup").write_text(membership)
    (process / "mountinfo").write_text("24 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mounts)
    for name, text in files.items():
        file = root / "sys" / "fs" / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


def chosen(number: int, reason: str) -> WorkerCount:
    return WorkerCount(number, reason, is_chosen=True)


def in_container(root: Path, cpu: str = "max 100000", memory: str = "max") -> WorkerCount:
    return choose_worker_count(tree(root, "0::/\n", V2, {"cpu.max": cpu, "memory.max": memory}))


def test_without_limits_there_are_at_most_eight_workers(tmp_path: Path) -> None:
    assert in_container(tmp_path) == chosen(8, "at most 8 unless WORKERS is set")


def test_without_control_groups_the_affinity_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3, 5})
    assert choose_worker_count(tmp_path) == chosen(2, "2 cores")


@pytest.mark.parametrize(
    ("cpu", "expected"), [("250000 100000", 2), ("300000 100000", 3), ("20000 100000", 1), ("199999 100000", 1)]
)
def test_the_cpu_limit_is_rounded_down_but_not_to_none(tmp_path: Path, cpu: str, expected: int) -> None:
    found = in_container(tmp_path, cpu=cpu)
    assert found == chosen(expected, f"CPU limit of {int(cpu.split(maxsplit=1)[0]) / 100000:g} cores")


@pytest.mark.parametrize(("mib", "expected"), [(100, 1), (256, 1), (299, 1), (300, 2), (512, 3)])
def test_each_worker_has_150_mib_of_the_memory_limit(tmp_path: Path, mib: int, expected: int) -> None:
    assert in_container(tmp_path, memory=str(mib * MIB)) == chosen(expected, f"memory limit of {mib} MiB")


def test_the_limit_of_a_group_above_counts(tmp_path: Path) -> None:
    files = {
        "kubepods/cpu.max": "400000 100000",
        "kubepods/pod/cpu.max": "200000 100000",
        "kubepods/pod/container/cpu.max": "max 100000",
        "kubepods/pod/container/memory.max": "max",
        "other/cpu.max": "100000 100000",
    }
    assert choose_worker_count(tree(tmp_path, "0::/kubepods/pod/container\n", V2, files)).number == 2


def test_version_1_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    membership = "4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n2:pids:/docker/a\n1:name=systemd:/docker/a\n"
    files = {
        "memory/docker/a/memory.limit_in_bytes": str(700 * MIB),
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpu,cpuacct/docker/a/cpu.cfs_quota_us": "350000",
        "cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
    }
    root = tree(tmp_path, membership, V1.format(root="/"), files)
    assert choose_worker_count(root) == chosen(3, "CPU limit of 3.5 cores")


def test_a_container_of_version_1_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    membership = "4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n"
    files = {"memory/memory.limit_in_bytes": str(256 * MIB), "cpu,cpuacct/cpu.cfs_quota_us": "-1"}
    root = tree(tmp_path, membership, V1.format(root="/docker/a"), files)
    assert choose_worker_count(root) == chosen(1, "memory limit of 256 MiB")


def test_a_group_outside_the_visible_ones_is_read_at_the_mount_point(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/../../other\n", V2, {"cpu.max": "200000 100000"})
    assert choose_worker_count(root).number == 2


def test_files_that_hold_something_else_do_not_count(tmp_path: Path) -> None:
    assert in_container(tmp_path, cpu="many", memory="much").number == 8
