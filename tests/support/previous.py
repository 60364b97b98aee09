"""Earlier commits of the project, to be run beside the current one."""

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
_ENVIRONMENT_LOCK = "requirements/development.txt"


def revision(name: str) -> str | None:
    """The commit with this git name; None if the history is too short or missing."""
    return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")


def before_the_latest_migrations() -> str | None:
    """The last commit without the latest migrations; None if the history is too short."""
    latest = _git("rev-list", "-1", "--first-parent", "HEAD", "--", _MIGRATIONS)
    return revision(f"{latest}~1") if latest else None


def checked_out(commit: str, folder: Path) -> Path:
    """Check out the files of a commit into the folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def _libraries(folder: Path) -> list[Path]:
    """The folder of the libraries to which the program was locked, if this environment does not have all of them."""
    lock = folder / _LOCK
    if _pins(lock) <= _pins(PROJECT / _ENVIRONMENT_LOCK):
        return []
    libraries = folder / "libraries"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "--require-hashes", "--no-deps", "--target", libraries, "-r", lock], check=True)
    return [libraries]


def _pins(lock: Path) -> set[str]:
    """The packages of a lock file with their versions, without hashes and comments."""
    return {line.rstrip("\\ ") for line in lock.read_text().splitlines() if "==" in line}


class Previous(Service):
    """The service in the folder, with the libraries to which it was locked."""

    def __init__(self, folder: Path, database: Parameters, composer_url: str, environment: dict[str, str]) -> None:
        path = os.pathsep.join(map(str, [folder, *_libraries(folder)]))
        super().__init__(database, composer_url, environment={**environment, "PYTHONPATH": path})

    def migrate(self) -> None:
        """Migrate the database to the latest migration of the program. Raises CalledProcessError."""
        command = [sys.executable, "-m", "image_builder", "migrate"]
        subprocess.run(command, env=self.environment, cwd="/", timeout=6 * PATIENCE, check=True)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
