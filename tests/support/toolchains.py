"""Programs of other languages for tests: Node.js, Go, and packages of their package managers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Installing and compiling, on a machine that does other things besides.
PATIENCE = 600.0
# No telemetry, no look for newer versions, and nothing through a proxy: the service is on this machine.
_QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "true"}


def require(program: str) -> None:
    """Skip the test on a machine without this program; fail in CI, which must have it."""
    if shutil.which(program) is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has to have {program}")
    pytest.skip(f"{program} is not installed")


def run(*command: str | Path, folder: Path, path: Path | None = None) -> str:
    """Run a command in `folder`, which must succeed, and return its output; programs in `path` are found first."""
    found_first = "" if path is None else f"{path}{os.pathsep}"
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **_QUIET, "PATH": found_first + os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def install_npm_packages(folder: Path) -> Path:
    """Install the packages of `package-lock.json` without their scripts, and return the folder of their programs."""
    require("node")
    require("npm")
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)
    return folder / "node_modules" / ".bin"
