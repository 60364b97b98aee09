"""`image-builder distributions refresh-packages` on the directory of a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.support import launcher
from tests.support.service import PROJECT

COMMAND: Final = [sys.executable, "-m", "image_builder", "distributions", "refresh-packages"]
# Of distribution test-9 with a repository r.
LIST: Final = "test-9-x86_64-r-packages.json"


def a_repository(id_: str, url: str, **fields: Any) -> dict[str, Any]:
    """A repository of a distribution file, at a public address."""
    return {"id": id_, "rhsm": False, "baseurl": url} | fields


def put(
    directory: Path,
    name: str,
    *repositories: dict[str, Any],
    archs: Sequence[str] = ("x86_64", "aarch64"),
    canonical: str | None = None,
) -> Path:
    """Add a distribution with these repositories to the directory, and return its folder."""
    document = {
        "module_platform_id": "platform:el9",
        "distribution": {"name": canonical or name, "description": "Test"},
        **{arch: {"image_types": ["aws"], "repositories": list(repositories)} for arch in archs},
    }
    folder = directory / name
    folder.mkdir()
    (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def run(directory: Path, *arguments: object, memory: int | None = None) -> subprocess.CompletedProcess[str]:
    """The ended command with these arguments, in a process that may take so many bytes of memory."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "DISTRIBUTIONS_DIR": str(directory)}
    return launcher.run([*COMMAND[3:], *map(str, arguments)], environment, memory)


def lists(folder: Path) -> dict[str, str]:
    """The texts of a distribution's package lists by file name."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != f"{folder.name}.json"}


def old_list(folder: Path, *names: str) -> None:
    """Write lists with one old package to a distribution's folder."""
    for name in names:
        (folder / name).write_text('[{"name": "old", "summary": "Old"}]')


def assert_left_alone(folder: Path) -> None:
    """The list of `old_list` is the only one, and unchanged."""
    assert lists(folder) == {LIST: '[{"name": "old", "summary": "Old"}]'}


def a_package(name: str = "zsh", summary: str = "A shell", version: str = 'epoch="0" ver="1" rel="1"') -> str:
    """A package of a primary file; `version` are the attributes of its version."""
    return (
        f'<package type="rpm"><name>{name}</name><arch>noarch</arch><version {version}/>'
        f"<summary>{summary}</summary></package>"
    )


def a_primary(*packages: str) -> bytes:
    """A primary file with these packages."""
    return f"<metadata>{''.join(packages)}</metadata>".encode()
