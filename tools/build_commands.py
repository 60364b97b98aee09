"""Commands of setuptools: a wheel also holds the files that a checkout has at its top level.

`adapters/files/project_files.py` finds them in either place. Links become files that hold the target's name, because
neither a wheel nor a source distribution of setuptools can hold links (`adapters/files/aliases.py`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

_TOP: Final = Path(__file__).resolve().parent.parent
_FILE: Final = "openapi.yaml"
_FOLDER: Final = "distributions"
_PACKAGED: Final = Path("adapters", "files", "packaged")


class BuildWithProjectFiles(build_py):
    """`build_py`; an editable installation reads the top level of the checkout itself."""

    def run(self) -> None:
        """Build the packages, then add the files."""
        super().run()
        if not self.editable_mode:
            copy_project_files(Path(self.build_lib) / _PACKAGED)


class SourceWithProjectFiles(sdist):
    """`sdist`, from which a wheel can be built in turn."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Collect the sources, then add the files."""
        super().make_release_tree(base_dir, files)
        copy_project_files(Path(base_dir))


def copy_project_files(target: Path) -> None:
    """Put the contract and the distribution directory into the folder `target`."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(_TOP / _FILE, target)
    shutil.rmtree(target / _FOLDER, ignore_errors=True)
    _copy_folder(_TOP / _FOLDER, target / _FOLDER)


def _copy_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for entry in source.iterdir():
        if entry.is_symlink():
            (target / entry.name).write_text(f"{entry.readlink()}\n")
        elif entry.is_dir():
            _copy_folder(entry, target / entry.name)
        else:
            shutil.copy(entry, target)
