"""A first `make` that fails says what to do, and works once that was done (tools/environment.sh)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, until

PROJECT = Path(__file__).parents[2]
# A Python whose packages are a list in a file: it makes environments, and fails or hangs as the files beside it say.
PYTHON = """#!/usr/bin/env bash
here={here}
case "$*" in
"-c import sys;"*) [ ! -e $here/old ] ;;
"-c import pip"*) [ -e "$(dirname "$0")/pip" ] ;;
--version) echo Python 3.9.2 ;;
"-m venv"*)
    [ ! -e $here/no-ensurepip ] || exit 1
    mkdir -p "$3/bin" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python"
    [ ! -e $here/hang-venv ] || sleep 600
    touch "$3/bin/pip" ;;
"-m pip install"*)
    echo "${{@: -1}}" >> "$(dirname "$0")/installed"
    [ ! -e $here/hang-pip ] || sleep 600
    [ ! -e $here/no-network ] ;;
esac
"""
EVERYTHING = ["requirements/embedded.txt", "."]


class Clone:
    """A clone in which nothing was run yet, with a Python that a test can make fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        (self.folder / "requirements").mkdir(parents=True)
        (self.folder / "tools").mkdir()
        for name in ("Makefile", "pyproject.toml", "tools/environment.sh"):
            shutil.copy(PROJECT / name, self.folder / name)
        for name in ("embedded", "development"):
            (self.folder / f"requirements/{name}.txt").touch()
        self.faults = folder / "faults"
        self.faults.mkdir()
        self.python = folder / "python"
        self.python.write_text(PYTHON.format(here=self.faults))
        self.python.chmod(0o755)
        self.environment = self.folder / ".venv"

    def break_by(self, fault: str) -> None:
        (self.faults / fault).touch()

    def mend(self) -> None:
        for fault in self.faults.iterdir():
            fault.unlink()

    def begin(self, goal: str, *arguments: str) -> subprocess.Popen[str]:
        command = ["make", f"PYTHON={self.python}", *arguments, goal]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=variables,
            text=True,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def make(self, goal: str, *arguments: str) -> tuple[int, str]:
        """The exit status, and what was written to standard error."""
        with self.begin(goal, *arguments) as process:
            _, told = process.communicate(timeout=PATIENCE)
        return process.returncode, told

    def installed(self) -> list[str]:
        return (self.environment / "bin/installed").read_text().splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


TARGET = {"embedded": ".venv/.embedded", "development": ".venv/.development"}


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("no-ensurepip", "apt install python3-venv; then run make"),
        ("old", "PYTHON=python3.12"),
        ("no-network", "Check the network (and HTTPS_PROXY), then run make"),
    ],
)
@pytest.mark.parametrize("target", TARGET.values(), ids=TARGET)
def test_a_failure_says_what_to_do_and_the_next_try_succeeds(
    clone: Clone, target: str, fault: str, advice: str
) -> None:
    clone.break_by(fault)
    status, told = clone.make(target)
    assert status != 0
    assert advice in told
    clone.mend()
    assert clone.make(target)[0] == 0
    assert set(EVERYTHING) <= set(clone.installed())


def test_an_old_python_is_named(clone: Clone) -> None:
    clone.break_by("old")
    assert f"{clone.python} is Python 3.9.2" in clone.make(".venv/.embedded")[1]


@pytest.mark.parametrize("moment", ["hang-venv", "hang-pip"])
@pytest.mark.parametrize("target", TARGET.values(), ids=TARGET)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_after_an_interruption_the_environment_is_made_anew(
    clone: Clone, target: str, moment: str, number: signal.Signals
) -> None:
    clone.break_by(moment)
    with clone.begin(target) as process:
        sign = "pyvenv.cfg" if moment == "hang-venv" else "bin/installed"
        until((clone.environment / sign).exists, "it has begun")
        time.sleep(0.1)
        os.killpg(process.pid, number)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert number == signal.SIGKILL or "which makes it anew" in told
    clone.mend()
    assert clone.make(".venv/.embedded")[0] == 0
    assert clone.installed() == EVERYTHING


def test_make_run_does_not_use_what_an_interrupted_make_check_has_left(clone: Clone) -> None:
    assert clone.make(".venv/.embedded")[0] == 0
    clone.break_by("hang-pip")
    with clone.begin(".venv/.development") as process:
        until(lambda: len(clone.installed()) > len(EVERYTHING), "packages are being installed")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    clone.mend()
    assert clone.make(".venv/.embedded")[0] == 0
    assert clone.installed() == EVERYTHING


def test_an_environment_that_is_complete_is_not_touched(clone: Clone) -> None:
    assert clone.make(".venv/.development")[0] == 0
    before = clone.installed()
    for target in TARGET.values():
        assert clone.make(target)[0] == 0
    assert clone.installed() == before


def test_a_folder_that_is_no_environment_is_not_emptied(clone: Clone, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter").write_text("dear")
    status, told = clone.make(f"{mine}/.embedded", f"VENV={mine}")
    assert status != 0
    assert "is not a virtual environment" in told
    assert (mine / "letter").read_text() == "dear"
