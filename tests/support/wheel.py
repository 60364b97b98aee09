"""The wheel, built from a copy of the project, and environments in which it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.service import PROJECT

_SOURCES = (
    *("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "openapi.yaml"),
    *("requirements", "tools", "distributions", "domain", "ports", "adapters", "image_builder"),
)


def copy_sources(folder: Path) -> None:
    """Copy the files from which the wheel is built, because a build writes beside its sources."""
    folder.mkdir()
    for name in _SOURCES:
        source = PROJECT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, folder / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(source, folder)


def build_wheel(sources: Path, folder: Path) -> Path:
    """The path of the wheel that pip builds from the folder `sources`."""
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(sources))
    return next(folder.glob("*.whl"))


def build_sdist(sources: Path, folder: Path) -> Path:
    """The path of the source distribution that the build backend creates from the folder `sources`."""
    folder.mkdir()
    program = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=sources, stdout=subprocess.DEVNULL, check=True)
    return next(folder.glob("*.tar.gz"))


def install(wheel: Path, folder: Path) -> Path:
    """The interpreter of a new environment in which the wheel is installed, beside the packages that it needs.

    Those are the packages of the environment that runs the tests. Nothing of the project's checkout can be imported:
    Python ignores the `.pth` files of a folder that a `.pth` file names.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, cwd="/", check=True)
