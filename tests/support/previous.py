"""Earlier commits of the project, to be run beside this one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.support.databases import Parameters
from tests.support.service import PROJECT, Service
from tests.support.waiting import PATIENCE

_MIGRATIONS = "adapters/postgres/migrations"
_LOCK = "requirements/runtime.txt"


def revision(name: str) -> str | None:
    """A commit by what git calls it; None where the history does not reach so far back, or is not there."""
    return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def before_the_latest_migrations() -> str | None:
    """The last commit that does not know the latest migrations; None where the history does not reach so far back."""
    latest = _git("rev-list", "-1", "--first-parent", "HEAD", "--", _MIGRATIONS)
    return revision(f"{latest}~1") if latest else None


def checked_out(commit: str, folder: Path) -> Path:
    """The files of a commit, in that folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def _libraries(folder: Path) -> list[Path]:
    """Where the libraries are that the program in this folder was locked to, if they are not those of this program."""
    lock = folder / _LOCK
    if lock.read_text() == (PROJECT / _LOCK).read_text():
        return []
    libraries = folder / "libraries"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--require-hashes", "--no-deps", "--target", libraries, "-r", lock], check=True)
    return [libraries]


class Previous(Service):
    """The service as it is in that folder, with the libraries that it was locked to."""

    def __init__(self, folder: Path, database: Parameters, composer_url: str, environment: dict[str, str]) -> None:
        path = os.pathsep.join(map(str, [folder, *_libraries(folder)]))
        super().__init__(database, composer_url, environment={**environment, "PYTHONPATH": path})

    def migrate(self) -> None:
        """Migrate the database as far as it knows how to. Raises CalledProcessError."""
        command = [sys.executable, "-m", "image_builder", "migrate"]
        subprocess.run(command, env=self.environment, cwd="/", timeout=6 * PATIENCE, check=True)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
